# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Floor under the camera: its height and tilt against the mounting, from depth or landmarks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.visual_odometry.landmarks import Landmarks

_STEEPEST = math.tan(math.radians(3.0))  # below the horizon; flatter rays meet the floor too far
_CANDIDATES = 30
_BAND = 0.08  # relative height within which points are of one floor
_MAX_TILT = math.tan(math.radians(15.0))
_MIN_POINTS = 12
_MIN_SHARE = 0.2  # of the points below the horizon that must lie on the floor
_STEPS = 10
_STRIDE = 4  # pixels of a depth image


@dataclass(frozen=True)
class GroundPlane:
    """Plane of the floor as a camera sees it."""

    height: float  # metres of the camera above it, along its normal
    # radians between its normal and the base's z axis as the mounting has it, and the two parts
    tilt: float
    pitch: float  # of the floor against the base: positive where it rises ahead
    roll: float  # positive where it rises to the left
    share: float  # of the points below the horizon that lie on it


def ground_of_depth(
    depth: np.ndarray, intrinsics: Intrinsics, T_base_camera: np.ndarray
) -> GroundPlane | None:
    """Floor in a depth image.

    Args:
        depth: ``(h, w)`` metres; NaN and +Inf are left out.
        intrinsics: Its camera.
        T_base_camera: ``(4, 4)`` mounting: pose of the optical frame in the base.
    """
    rows, columns = np.mgrid[0 : depth.shape[0] : _STRIDE, 0 : depth.shape[1] : _STRIDE]
    z = depth[rows, columns].astype(np.float64)
    known = np.isfinite(z) & (z > 0)
    x = (columns[known] - intrinsics.cx) / intrinsics.fx
    y = (rows[known] - intrinsics.cy) / intrinsics.fy
    points = np.stack((x, y, np.ones_like(x)), axis=1) * z[known, None]
    return ground_of_points(points, T_base_camera)


def ground_of_landmarks(landmarks: Landmarks, T_base_camera: np.ndarray) -> GroundPlane | None:
    """Floor among the landmarks of one image."""
    camera, pixels = landmarks.intrinsics, landmarks.pixels.astype(np.float64)
    x, y = (pixels[:, 0] - camera.cx) / camera.fx, (pixels[:, 1] - camera.cy) / camera.fy
    points = np.stack((x, y, np.ones_like(x)), axis=1) * landmarks.depth[:, None]
    return ground_of_points(points, T_base_camera)


def ground_of_points(points: np.ndarray, T_base_camera: np.ndarray) -> GroundPlane | None:
    """Floor among points.

    The height that most points share is found first, without tilt; a robust plane through those
    follows, by least squares reweighted with Geman-McClure weights on the relative height.

    Args:
        points: ``(N, 3)`` metres in the optical frame.
        T_base_camera: ``(4, 4)`` mounting; the floor lies below the camera, along minus z of the
            base.

    Returns:
        The floor, or None where too few points share a height.
    """
    seen = points @ T_base_camera[:3, :3].T  # base axes, from the camera
    reach = np.linalg.norm(seen[:, :2], axis=1)
    seen = seen[-seen[:, 2] > _STEEPEST * reach]
    if len(seen) < _MIN_POINTS:
        return None
    height = _common_height(-seen[:, 2])
    slopes = np.zeros(2)
    for _ in range(_STEPS):
        expected = height - seen[:, :2] @ slopes
        residual = (-seen[:, 2] - expected) / height
        weights = 1.0 / (1.0 + (residual / _BAND) ** 2) ** 2
        design = np.column_stack((np.ones(len(seen)), -seen[:, :2]))
        normal = (design * weights[:, None]).T @ design + np.diag((0.0, 1e-3, 1e-3)) * len(seen)
        solution = np.linalg.solve(normal, (design * weights[:, None]).T @ -seen[:, 2])
        height, slopes = float(solution[0]), np.clip(solution[1:], -_MAX_TILT, _MAX_TILT)
        if height <= 0:
            return None
    share = float(np.mean(np.abs(residual) < _BAND))
    if share < _MIN_SHARE or share * len(seen) < _MIN_POINTS:
        return None
    steepness = float(np.linalg.norm(slopes))
    return GroundPlane(
        height / math.hypot(1.0, steepness),
        math.atan(steepness),
        math.atan(slopes[0]),
        math.atan(slopes[1]),
        share,
    )


def _common_height(heights: np.ndarray) -> float:
    """Centre of the relative band that holds most heights."""
    candidates = np.quantile(heights, np.linspace(0.02, 0.98, _CANDIDATES))
    near = np.abs(heights[None, :] / candidates[:, None] - 1.0) < _BAND
    return float(candidates[np.argmax(np.count_nonzero(near, axis=1))])
