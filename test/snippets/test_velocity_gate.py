# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Corrupted velocities are refused by kind; true changes are believed."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.snippets.values import Velocity
from sfm_depth_ros.snippets.velocity_gate import TwistWatch, VelocityGate


def _velocity(seconds: float, speed: float, yaw_rate: float = 0.0) -> Velocity:
    return Velocity(
        round(seconds * 1e9), np.array([speed, 0.0, 0.0]), np.array([0.0, 0.0, yaw_rate])
    )


def test_single_spikes_are_refused_and_leave_no_trace() -> None:
    gate = VelocityGate()
    speeds = [5.0, 5.1, 55.0, 5.2, 5.2, -45.0, 5.3]
    reasons = [gate.refusal(_velocity(0.05 * i, speed)) for i, speed in enumerate(speeds)]
    assert reasons == ["", "", "acceleration", "", "", "acceleration", ""]
    assert gate.counts["acceleration"] == 2


def test_hard_braking_passes() -> None:
    gate = VelocityGate()
    speeds = np.maximum(20.0 - 10.0 * np.arange(0, 2.5, 0.05), 0.0)
    assert not any(gate.refusal(_velocity(0.05 * i, v)) for i, v in enumerate(speeds))


def test_a_jump_that_stays_is_believed_after_three_samples() -> None:
    gate = VelocityGate()
    reasons = [
        gate.refusal(_velocity(0.05 * i, speed)) for i, speed in enumerate([2.0, 2.0, *[12.0] * 5])
    ]
    assert reasons == ["", "", "acceleration", "acceleration", "", "", ""]


def test_after_a_gap_any_velocity_is_possible() -> None:
    gate = VelocityGate()
    assert gate.refusal(_velocity(0.0, 1.0)) == ""
    assert gate.refusal(_velocity(2.0, 15.0)) == ""


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted(value: float) -> None:
    gate = VelocityGate()
    assert gate.refusal(_velocity(0.0, value)) == "not_finite"
    assert gate.refusal(_velocity(0.1, 1.0, value)) == "not_finite"
    assert gate.counts["not_finite"] == 2


def test_speeds_beyond_any_road_are_refused() -> None:
    assert VelocityGate(max_speed=30.0).refusal(_velocity(0.0, 31.0)) == "too_fast"


def _fed(positions: list[float], speeds: list[float]) -> TwistWatch:
    watch = TwistWatch()
    for index, (x, speed) in enumerate(zip(positions, speeds, strict=True)):
        velocity = Velocity(index * 50_000_000, np.array([speed, 0.0, 0.0]), np.zeros(3))
        watch.add(velocity, (x, 0.0, 0.0))
    return watch


def test_a_pose_that_moves_without_a_twist_is_named_with_its_metres() -> None:
    watch = _fed([0.1 * index for index in range(21)], [0.0] * 21)
    assert watch.fault.startswith("the odometry's pose moved by 2.0 m while its twist stayed zero")
    assert "fill twist.twist" in watch.fault
    watch.add(Velocity(10**10, np.array([2.0, 0.0, 0.0]), np.zeros(3)), (2.2, 0.0, 0.0))
    assert watch.fault == ""


def test_what_is_right_is_not_named() -> None:
    assert _fed([0.1 * index for index in range(40)], [2.0] * 40).fault == ""  # it drives
    assert _fed([0.0] * 40, [0.0] * 40).fault == ""  # it stands
    assert _fed([0.0] * 20 + [3.0] * 20, [0.0] * 40).fault == ""  # its pose was corrected
    assert _fed([float("nan")] * 40, [0.0] * 40).fault == ""
