# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Floors of known height and tilt."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import pose_to_matrix, rotation_matrix
from sfm_depth_ros.visual_odometry.ground_plane import (
    ground_of_depth,
    ground_of_landmarks,
    ground_of_points,
)
from sfm_depth_ros.visual_odometry.landmarks import Landmarks

CAMERA = Intrinsics(200.0, 200.0, 159.5, 47.5, 320, 96)
AHEAD = pose_to_matrix((0.0, 0.0, 1.1, -0.5, 0.5, -0.5, 0.5))


def mounting(pitch_down_deg: float) -> np.ndarray:
    tilted = AHEAD.copy()
    tilted[:3, :3] = rotation_matrix((0, math.radians(pitch_down_deg), 0)) @ tilted[:3, :3]
    return tilted


def floor_depth(T_base_camera: np.ndarray, height: float, pitch: float = 0.0) -> np.ndarray:
    """Depth of a floor that rises ahead by ``pitch`` radians; inf above the horizon."""
    columns, rows = np.meshgrid(np.arange(320), np.arange(96))
    rays = np.stack(
        ((columns - CAMERA.cx) / CAMERA.fx, (rows - CAMERA.cy) / CAMERA.fy, np.ones((96, 320))), -1
    )
    in_base = rays @ T_base_camera[:3, :3].T
    normal = np.array((-math.sin(pitch), 0.0, math.cos(pitch)))
    with np.errstate(divide="ignore"):
        depth = -height / (in_base @ normal)
    return np.where(depth > 0, depth, np.inf)


@pytest.mark.parametrize("pitch_deg", [-5.0, 0.0, 3.0])
def test_height_and_tilt_of_an_exact_floor(pitch_deg: float) -> None:
    pitch = math.radians(pitch_deg)
    T = mounting(10.0)
    ground = ground_of_depth(floor_depth(T, 1.1, pitch), CAMERA, T)
    assert ground is not None
    assert ground.height == pytest.approx(1.1, rel=0.01)
    assert ground.pitch == pytest.approx(pitch, abs=math.radians(0.3))
    assert ground.tilt == pytest.approx(abs(pitch), abs=math.radians(0.3))
    assert ground.share > 0.95


def test_depth_that_is_too_large_makes_the_camera_too_high() -> None:
    T = mounting(10.0)
    ground = ground_of_depth(1.3 * floor_depth(T, 1.1), CAMERA, T)
    assert ground is not None
    assert ground.height == pytest.approx(1.43, rel=0.01)
    assert ground.tilt < math.radians(0.5)


def test_a_wall_over_half_of_the_floor_does_not_tilt_it() -> None:
    T = mounting(10.0)
    depth = np.minimum(floor_depth(T, 1.1), np.where(np.arange(320) < 130, 3.0, np.inf))
    ground = ground_of_depth(depth, CAMERA, T)
    assert ground is not None
    assert ground.height == pytest.approx(1.1, rel=0.03)
    assert ground.tilt < math.radians(1.5)


def test_landmarks_of_a_floor_and_of_walls() -> None:
    T = mounting(10.0)
    depth = np.minimum(floor_depth(T, 1.1), 12.0)
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 96, 300), rng.integers(0, 320, 300)
    inverse = (1 / depth[rows, columns]) * (1 + rng.normal(0, 0.03, 300))
    pixels = np.stack((columns, rows), 1).astype(np.float32)
    integers = np.arange(300)
    seen = Landmarks(0, CAMERA, pixels, inverse, 0.03 * inverse, integers, integers)
    ground = ground_of_landmarks(seen, T)
    assert ground is not None
    assert ground.height == pytest.approx(1.1, rel=0.03)


def test_no_floor_no_plane() -> None:
    assert ground_of_depth(np.full((96, 320), np.nan), CAMERA, AHEAD) is None
    assert ground_of_points(np.zeros((0, 3)), AHEAD) is None
    scattered = np.random.default_rng(0).uniform((-5, 0.1, 1), (5, 100, 2), (40, 3))
    assert ground_of_points(scattered, AHEAD) is None
