# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Suburbs, avenues, woods and rooms: the robot's path is free, and things stand beside it."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.world.camera_spec import CameraSpec
from sfm_depth_ros.world.drive import DriveSpec, SyntheticDrive
from sfm_depth_ros.world.trajectory import MotionSpec

STEADY = MotionSpec(5.0, variation=0.0, sway_m=0.0, shake_deg=0.0, bounce_m=0.0)
CAMERA = CameraSpec(160, 96, 90.0, 1.2, 10.0)


def _drive(style: str, seed: int, **overrides: object) -> SyntheticDrive:
    motion = MotionSpec(1.0, 0.0, sway_m=0.0, shake_deg=0.0, bounce_m=0.0)
    motion = motion if style == "rooms" else STEADY
    return SyntheticDrive(DriveSpec(seed, 3.0, CAMERA, style=style, motion=motion, **overrides))


@pytest.mark.parametrize("style", ["suburb", "avenue", "wood", "rooms"])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_ground_ahead_of_the_robot_is_free(style: str, seed: int) -> None:
    """Where the middle column's lowest row meets the ground is known from height and pitch."""
    drive = _drive(style, seed)
    K = CAMERA.intrinsics
    pitch = np.radians(10.0)
    row = 95
    expected = 1.2 / (np.sin(pitch) + (row - K.cy) / K.fy * np.cos(pitch))
    for index in (0, 12, 29):
        depth = drive.frame(index).depth
        assert depth[row, 78:82] == pytest.approx(expected, rel=1e-3)
        assert depth.min() > 0.2


@pytest.mark.parametrize("style", ["suburb", "avenue", "wood"])
def test_things_stand_above_the_horizon_beside_the_road(style: str) -> None:
    """Above the horizon a place without things would be sky alone."""
    shares = []
    for seed in range(4):
        depth = _drive(style, seed).frame(5).depth
        horizon = int(CAMERA.intrinsics.cy - CAMERA.intrinsics.fy * np.tan(np.radians(10.0)))
        shares.append((depth[: horizon - 2] < 60.0).mean())
    assert np.mean(shares) > 0.2


def test_a_room_is_closed_around_the_robot() -> None:
    depth = _drive("rooms", 3).frame(10).depth
    assert (depth < 15.0).mean() > 0.9


def test_the_car_ahead_keeps_its_distance() -> None:
    """Seen at its mean distance, give or take a tenth, less half its length."""
    drive = _drive("wood", 4, convoy=True, leader_ahead_m=20.0)
    frame = drive.frame(10)
    seen = frame.depth[frame.instances == len(drive.movers)]
    assert 20.0 * 0.9 - 2.5 < seen.min() < 20.0 * 1.1 - 1.8
