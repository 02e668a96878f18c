# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfm_depth_ros.errors import DataError, VelocityGapError
from sfm_depth_ros.geometry.frames import R_BASE_OPTICAL, invert, rotation_matrix
from sfm_depth_ros.snippets.values import Velocity
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.snippets.velocity_gate import VelocityGate

SECOND = 10**9


def _mounted(x: float, y: float, z: float) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = R_BASE_OPTICAL
    T[:3, 3] = x, y, z
    return T


def _buffer(T_base_camera: np.ndarray | None = None, **options: float) -> VelocityBuffer:
    T = _mounted(0, 0, 0) if T_base_camera is None else T_base_camera
    return VelocityBuffer(T, **{"max_gap_s": 0.3, **options})


def _velocity(seconds: float, speed: float = 1.0, turn: float = 0.0) -> Velocity:
    return Velocity(round(seconds * SECOND), np.array([speed, 0, 0]), np.array([0, 0, turn]))


def _planar(x: float, y: float, yaw: float) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = rotation_matrix([0, 0, yaw])
    T[:3, 3] = x, y, 0
    return T


@settings(max_examples=30, deadline=None)
@given(
    speed=st.floats(-15, 15),
    turn=st.floats(-2, 2).filter(lambda w: abs(w) > 1e-2),
    begin=st.floats(0.0, 0.9),
    seconds=st.floats(0.01, 1.0),
)
def test_arc_with_lever_arm_is_exact(speed, turn, begin, seconds):
    """Constant speed and turn rate drive a circle of radius v / w (any sampling)."""
    T_base_camera = _mounted(1.08, -0.32, 0.72)
    buffer = _buffer(T_base_camera)
    for t in np.arange(0, 2.1, 0.13):
        buffer.add(_velocity(t, speed, turn))
    yaw, radius = turn * seconds, speed / turn
    base = _planar(radius * np.sin(yaw), radius * (1 - np.cos(yaw)), yaw)
    expected = invert(T_base_camera) @ base @ T_base_camera
    later = begin + seconds
    got = buffer.displacement(round(begin * SECOND), round(later * SECOND)).T_earlier_later
    np.testing.assert_allclose(got, expected, atol=1e-4 * seconds + 1e-6)


def test_turning_while_speeding_up_is_exact_enough_at_16_hz():
    """Against the same motion integrated in steps of 50 microseconds."""

    def velocity(t: float) -> Velocity:
        return _velocity(t, 5 + 4 * t, 0.2 + 1.5 * t)

    coarse = _buffer(_mounted(1.0, 0.3, 0.5))
    for t in np.arange(0, 1.1, 1 / 16):
        coarse.add(velocity(t))
    state, step = np.zeros(3), 5e-5
    for t in np.arange(0.1, 0.9, step) + step / 2:
        v, w = 5 + 4 * t, 0.2 + 1.5 * t
        yaw = state[2] + w * step / 2
        state += step * np.array([v * np.cos(yaw), v * np.sin(yaw), w])
    T = coarse.T_base_camera
    expected = invert(T) @ _planar(*state) @ T
    got = coarse.displacement(SECOND // 10, 9 * SECOND // 10).T_earlier_later
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_forward_motion_is_along_the_optical_axis():
    buffer = _buffer(_mounted(1, 2, 3))
    buffer.add(_velocity(0, 2.0))
    buffer.add(_velocity(0.2, 2.0))
    displacement = buffer.displacement(0, SECOND // 10)
    np.testing.assert_allclose(displacement.T_earlier_later[:3, 3], [0, 0, 0.2], atol=1e-12)
    assert displacement.length == pytest.approx(0.2)


def test_speed_is_interpolated_linearly():
    buffer = _buffer()
    buffer.add(_velocity(0.0, 0.0))
    buffer.add(_velocity(0.2, 2.0))
    assert buffer.at(SECOND // 10).linear[0] == pytest.approx(1.0)
    assert buffer.displacement(0, SECOND // 5).length == pytest.approx(0.2)
    assert buffer.displacement(SECOND // 10, SECOND // 5).length == pytest.approx(0.15)
    assert buffer.displacement(SECOND // 10, SECOND // 10).length == 0.0


def test_order_of_arrival_does_not_matter_and_a_stamp_again_replaces():
    stamps = np.arange(0, 1, 0.1)
    forward, mixed = _buffer(), _buffer()
    for t in stamps:
        forward.add(_velocity(t, 1 + t))
    for t in np.random.default_rng(0).permutation(stamps):
        mixed.add(_velocity(t, 9.0))
        mixed.add(_velocity(t, 1 + t))
    assert len(mixed) == len(forward)
    a, b = (x.displacement(SECOND // 20, SECOND // 2) for x in (forward, mixed))
    np.testing.assert_array_equal(a.T_earlier_later, b.T_earlier_later)


def _gap(buffer: VelocityBuffer, begin: float, end: float) -> VelocityGapError:
    with pytest.raises(VelocityGapError) as caught:
        buffer.displacement(round(begin * SECOND), round(end * SECOND))
    return caught.value


def test_what_is_not_covered_is_refused_and_says_whether_to_wait():
    buffer = _buffer()
    assert _gap(buffer, 0, 0.1).pending
    for t in (1.0, 1.1, 1.2, 1.6, 1.7):
        buffer.add(_velocity(t))
    assert not _gap(buffer, 0.95, 1.15).pending  # begins before the oldest: never
    assert not _gap(buffer, 1.15, 1.65).pending  # a hole inside
    assert "0.400 s" in str(_gap(buffer, 1.25, 1.3))  # wholly within the hole
    assert _gap(buffer, 1.65, 1.75).pending  # newer ones have not come
    assert not _gap(buffer, 1.3, 1.75).pending  # the hole will stay
    assert buffer.displacement(SECOND, 12 * SECOND // 10).length == pytest.approx(0.2)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_refused(bad):
    with pytest.raises(DataError, match="finite"):
        _buffer().add(_velocity(0, bad))
    with pytest.raises(DataError, match="finite"):
        _buffer().add(Velocity(0, np.zeros(3), np.array([0, 0, bad])))


def test_old_velocities_are_forgotten():
    buffer = _buffer(horizon_s=1.0)
    for t in np.arange(0, 10, 0.1):
        buffer.add(_velocity(t))
    assert len(buffer) == 11


def test_a_jump_back_beyond_the_horizon_begins_anew():
    buffer = _buffer(horizon_s=1.0)
    buffer.add(_velocity(100.0))
    buffer.add(_velocity(0.0))
    assert len(buffer) == 1
    assert buffer.newest is not None
    assert buffer.newest.stamp_ns == 0
    buffer.clear()
    assert buffer.newest is None


def test_intervals_that_run_backwards_are_a_programmers_mistake():
    with pytest.raises(ValueError, match="earlier_ns <= later_ns"):
        _buffer().displacement(1, 0)


def test_threads_may_add_and_ask_at_once():
    buffer, failures = _buffer(horizon_s=0.5), []

    def ask() -> None:
        for _ in range(300):
            newest = buffer.newest
            try:
                if newest is not None:
                    buffer.displacement(newest.stamp_ns - SECOND // 10, newest.stamp_ns)
            except VelocityGapError:
                pass
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for t in np.arange(0, 5, 0.01):
        buffer.add(_velocity(t))
    for thread in threads:
        thread.join()
    assert not failures


def _gated(speeds: list[float]) -> VelocityBuffer:
    """The buffer after samples at 20 Hz."""
    buffer = VelocityBuffer(_mounted(0, 0, 0), max_gap_s=0.3, gate=VelocityGate())
    for index, speed in enumerate(speeds):
        buffer.add(_velocity(index / 20, speed))
    return buffer


def test_a_corrupted_sample_adds_no_distance_and_is_counted():
    buffer = _gated([5.0] * 10 + [55.0] + [5.0] * 10)
    assert buffer.displacement(0, SECOND).length == pytest.approx(5.0)
    assert buffer.refused == {"not_finite": 0, "acceleration": 1, "too_fast": 0}
    assert buffer.gated == ""


def test_nan_is_counted_and_gates_after_a_moment():
    assert _gated([5.0] * 20 + [np.nan] * 10).gated == ""
    buffer = _gated([5.0] * 20 + [5.0, np.nan] * 25)
    assert buffer.refused["not_finite"] == 25
    assert buffer.gated == "not_finite"
    assert buffer.displacement(0, SECOND).length == pytest.approx(5.0)


def test_speeds_of_no_robot_gate_and_leave_a_gap():
    buffer = _gated([5.0] * 20 + [100.0] * 30)
    assert buffer.gated == "too_fast"
    with pytest.raises(VelocityGapError):
        buffer.displacement(SECOND, 2 * SECOND)


def test_a_jump_in_time_forgets_the_sample_before():
    buffer = _gated([5.0] * 20)
    buffer.clear()
    buffer.add(_velocity(1.0, 60.0))
    assert buffer.refused["acceleration"] == 0
    assert len(buffer) == 1


def test_a_velocity_that_comes_late_changes_what_was_asked_before() -> None:
    """A displacement is kept until a velocity lands within what is known."""
    buffer = VelocityBuffer(np.eye(4), max_gap_s=1.0)
    for index in (0, 2, 4):
        buffer.add(Velocity(index * 100_000_000, np.array([1.0, 0, 0]), np.zeros(3)))
    before = buffer.displacement(0, 400_000_000)
    assert before.length == pytest.approx(0.4)
    buffer.add(Velocity(500_000_000, np.array([1.0, 0, 0]), np.zeros(3)))
    assert buffer.displacement(0, 400_000_000) is before
    buffer.add(Velocity(100_000_000, np.array([3.0, 0, 0]), np.zeros(3)))
    assert buffer.displacement(0, 400_000_000).length == pytest.approx(0.6)
    buffer.clear()
    with pytest.raises(VelocityGapError):
        buffer.displacement(0, 400_000_000)
