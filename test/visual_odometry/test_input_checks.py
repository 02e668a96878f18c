# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Wrong inputs of exact drives, each with one thing wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sfm_depth_ros.geometry.frames import (
    invert,
    pose_to_matrix,
    rotation_matrix,
    twist_to_transform,
)
from sfm_depth_ros.visual_odometry.input_checks import MotionPair, find_input_faults
from sfm_depth_ros.visual_odometry.speed_unit import ScaleWitnesses

# looking ahead, 1.2 m ahead of the axle and 1.5 m up
MOUNTING = pose_to_matrix((1.2, 0.1, 1.5, -0.5, 0.5, -0.5, 0.5))
PERIOD = 0.1


def drive(seed: int, seconds: float = 10.0) -> list[tuple[np.ndarray, np.ndarray]]:
    """(linear, angular) twist of the base, image by image: speed and yaw rate that vary."""
    rng = np.random.default_rng(seed)
    times = np.arange(0.0, seconds, PERIOD)
    speed = rng.uniform(1.0, 8.0) * (1 + 0.3 * np.sin(times / rng.uniform(1, 3)))
    yaw_rate = rng.uniform(0.2, 0.6) * np.sin(times / rng.uniform(0.8, 2.0)) ** 3
    return [
        (np.array((v, 0.0, 0.0)), np.array((0.0, 0.0, w)))
        for v, w in zip(speed, yaw_rate, strict=True)
    ]


def pairs(
    twists: list[tuple[np.ndarray, np.ndarray]],
    believed: np.ndarray = MOUNTING,
    change=lambda linear, angular: (linear, angular),
    focal_factor: float = 1.0,
) -> list[MotionPair]:
    """Motions as vision sees them, beside those of the changed odometer."""
    rng = np.random.default_rng(0)
    result = []
    for linear, angular in twists:
        true = twist_to_transform(linear, angular, PERIOD)
        seen = invert(MOUNTING) @ true @ MOUNTING
        vector = rng.normal(0, 2e-4, 3)
        angle = np.array(angular) * PERIOD
        optical = MOUNTING[:3, :3].T @ angle / focal_factor
        seen[:3, :3] = rotation_matrix(optical + vector)
        seen[:3, 3] += rng.normal(0, 0.02, 3) * np.linalg.norm(seen[:3, 3])
        measured = twist_to_transform(*change(linear, angular), PERIOD)
        carried = invert(believed) @ measured @ believed
        result.append(MotionPair(PERIOD, seen, carried))
    return result


@pytest.mark.parametrize("seed", range(20))
def test_a_right_set_up_is_never_named(seed: int) -> None:
    witnesses = ScaleWitnesses(depth_scale_ratio=0.75, height_ratio=1.1)
    assert find_input_faults(pairs(drive(seed)), MOUNTING, witnesses) == ()


WRONG_ODOMETERS = {
    "yaw_degrees": lambda v, w: (v, np.degrees(w)),
    "yaw_sign": lambda v, w: (v, -w),
    "yaw_missing": lambda v, w: (v, 0 * w),
    "yaw_axis": lambda v, w: (v, np.roll(w, 1)),
    "speed_sign": lambda v, w: (-v, w),
    "speed_axis": lambda v, w: (np.roll(v, 1), w),
}


@pytest.mark.parametrize("kind", WRONG_ODOMETERS)
@pytest.mark.parametrize("seed", range(5))
def test_a_wrong_odometer_is_named(kind: str, seed: int) -> None:
    faults = find_input_faults(pairs(drive(seed), change=WRONG_ODOMETERS[kind]), MOUNTING)
    assert [fault.kind for fault in faults] == [kind]
    assert "REP 103" in faults[0].text or "twist.twist" in faults[0].text


def test_a_mounting_without_the_optical_rotation_is_named() -> None:
    """base_to_camera with the identity: x ahead instead of z."""
    wrong = MOUNTING.copy()
    wrong[:3, :3] = np.eye(3)
    faults = find_input_faults(pairs(drive(0), believed=wrong), wrong)
    assert {fault.kind for fault in faults} == {"extrinsics"}
    assert "z forward, x right" in faults[0].text


@pytest.mark.parametrize("degrees", [-90.0, -20.0, 20.0, 90.0])
def test_a_mounting_that_looks_aside_is_named(degrees: float) -> None:
    wrong = MOUNTING.copy()
    wrong[:3, :3] = rotation_matrix((0, 0, math.radians(degrees))) @ wrong[:3, :3]
    kinds = [fault.kind for fault in find_input_faults(pairs(drive(0), believed=wrong), wrong)]
    assert kinds == ["extrinsics"]


@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_a_focal_length_that_does_not_fit_is_named(factor: float) -> None:
    faults = find_input_faults(pairs(drive(0), focal_factor=factor), MOUNTING)
    assert [fault.kind for fault in faults] == ["focal"]
    assert "camera_info" in faults[0].text


@pytest.mark.parametrize(("unit", "factor"), [("km/h", 3.6), ("mph", 2.23694), ("cm/s", 100.0)])
def test_another_unit_of_speed_is_named(unit: str, factor: float) -> None:
    """Landmarks are so many times too far; the network's own scale is 20 % off."""
    both = ScaleWitnesses(depth_scale_ratio=0.8 / factor, height_ratio=1.05 * factor)
    faults = find_input_faults(pairs(drive(0)), MOUNTING, both)
    assert [fault.kind for fault in faults] == ["speed_unit"]
    assert unit in faults[0].text


def test_witnesses_that_contradict_each_other_name_nothing() -> None:
    """The network is far off by itself, the height is right: its scale is another matter."""
    witnesses = ScaleWitnesses(depth_scale_ratio=1 / 3.6, height_ratio=1.0)
    assert find_input_faults(pairs(drive(0)), MOUNTING, witnesses) == ()


def test_a_network_alone_names_large_factors_only() -> None:
    def kinds(ratio: float) -> list[str]:
        faults = find_input_faults(pairs(drive(0)), MOUNTING, ScaleWitnesses(ratio))
        return [fault.kind for fault in faults]

    assert kinds(1 / 3.6) == ["speed_unit"]
    assert kinds(0.5) == []


def test_too_little_driven_says_nothing() -> None:
    wrong = pairs(drive(0, seconds=2.0), change=WRONG_ODOMETERS["speed_sign"])
    assert find_input_faults(wrong, MOUNTING) == ()
    unseen = [MotionPair(PERIOD, None, pair.T_measured) for pair in pairs(drive(0))]
    assert find_input_faults(unseen, MOUNTING) == ()


@pytest.mark.parametrize("factor", [100.0, 1000.0])
def test_a_speed_that_no_robot_drives_at_needs_no_witness(factor: float) -> None:
    """Also where vision has no motion from lengths so wrong."""
    wrong = pairs(drive(3), change=lambda v, w: (factor * v, w))
    unseen = [MotionPair(PERIOD, None, pair.T_measured) for pair in wrong]
    for given in (wrong, unseen):
        faults = find_input_faults(given, MOUNTING)
        assert [fault.kind for fault in faults] == ["speed_unit"]
        assert "mm/s or cm/s" in faults[0].text


def test_a_mounting_that_looks_aside_is_named_in_curves_alone() -> None:
    twists = [(np.array((6.0, 0.0, 0.0)), np.array((0.0, 0.0, 0.25)))] * 60
    wrong = MOUNTING.copy()
    wrong[:3, :3] = rotation_matrix((0, 0, math.radians(20.0))) @ wrong[:3, :3]
    assert [f.kind for f in find_input_faults(pairs(twists, believed=wrong), wrong)] == [
        "extrinsics"
    ]
    assert find_input_faults(pairs(twists), MOUNTING) == ()


def test_yaw_in_degrees_does_not_look_like_another_direction() -> None:
    """A measured rotation that is far too large bends the chord, not the direction of travel."""
    twists = [(np.array((6.0, 0.0, 0.0)), np.array((0.0, 0.0, 0.25)))] * 60
    faults = find_input_faults(pairs(twists, change=WRONG_ODOMETERS["yaw_degrees"]), MOUNTING)
    assert [fault.kind for fault in faults] == ["yaw_degrees"]


def test_a_wrong_mounting_is_named_without_a_unit_beside_it() -> None:
    """The height above the floor is measured through the mounting."""
    wrong = MOUNTING.copy()
    wrong[:3, :3] = np.eye(3)
    witnesses = ScaleWitnesses(depth_scale_ratio=1 / 3.6, height_ratio=3.6)
    faults = find_input_faults(pairs(drive(0), believed=wrong), wrong, witnesses)
    assert [fault.kind for fault in faults] == ["extrinsics"]
