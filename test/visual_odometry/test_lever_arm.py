# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera far ahead of the axle on a robot that turns hard: its path is not the base's."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from exact_drive import CAMERA, PERIOD_NS, Drive, base_to_camera, drive_of

from sfm_depth_ros.geometry.frames import twist_to_transform
from sfm_depth_ros.snippets.values import Velocity
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.visual_odometer import VisualOdometer

FRAMES, SPEED, AHEAD = 100, 2.0, 1.5
YAW_RATE, PERIOD_S = 0.6, 4.0  # rad/s at most, of a slalom
STEP_S = 0.002
CERTAIN = 0.05  # relative standard deviation of the landmarks that are compared


def _twist(t: float) -> tuple[np.ndarray, np.ndarray]:
    yaw_rate = YAW_RATE * math.cos(2 * math.pi * t / PERIOD_S)
    return np.array([SPEED, 0.0, 0.0]), np.array([0.0, 0.0, yaw_rate])


def _mounting() -> np.ndarray:
    T_base_camera = base_to_camera()
    T_base_camera[0, 3] = AHEAD
    return T_base_camera


@pytest.fixture(scope="module")
def slalom() -> Drive:
    velocities = VelocityBuffer(_mounting(), max_gap_s=0.3)
    for index in range(5 * FRAMES + 1):
        velocities.add(Velocity(index * 20_000_000, *_twist(0.02 * index)))
    poses, T_world_base = [], np.eye(4)
    steps = round(0.1 / STEP_S)
    for index in range(FRAMES * steps):
        if index % steps == 0:
            poses.append(T_world_base @ _mounting())
        middle = (index + 0.5) * STEP_S
        T_world_base = T_world_base @ twist_to_transform(*_twist(middle), STEP_S)
    return drive_of(poses, velocities)


def test_the_cameras_path_is_not_the_bases(slalom: Drive) -> None:
    """What the lever arm changes is far more than what is allowed below."""
    lengths = [np.linalg.norm(slalom.motion(k)[:3, 3]) for k in range(1, FRAMES)]
    assert sum(lengths) > 1.03 * SPEED * 0.1 * (FRAMES - 1)
    assert max(lengths) > 1.09 * SPEED * 0.1


@pytest.mark.parametrize("mode", ["visual", "fused"])
def test_scale_is_within_one_per_cent(slalom: Drive, mode: str) -> None:
    odometer = VisualOdometer(slalom.velocities, mode)
    moved, true, ratios = 0.0, 0.0, []
    for index, frame in enumerate(slalom.frames):
        grey = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        step = odometer.advance(grey, index * PERIOD_NS, CAMERA)
        if index < 5:
            continue
        assert step.T_earlier_later is not None
        moved += float(np.linalg.norm(step.T_earlier_later[:3, 3]))
        true += float(np.linalg.norm(slalom.motion(index)[:3, 3]))
        certain = step.landmarks.selected(step.landmarks.relative_std < CERTAIN)
        columns, rows = np.rint(certain.pixels).astype(int).T
        ratios.extend(certain.depth / slalom.depths[index][rows, columns])
    assert len(ratios) > 1000
    assert moved / true == pytest.approx(1.0, abs=0.01)
    assert np.median(ratios) == pytest.approx(1.0, abs=0.01)
