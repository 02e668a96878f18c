# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Landmarks that seem to lie below the floor, where nothing lies that stands still.

A car ahead that keeps its distance hardly moves in the image, as what is far away hardly does:
triangulated as if it stood, it lies too far away, and its lower parts below the road. Its tracks
obey the epipolar geometry, which therefore cannot find them. Two witnesses must contradict such a
landmark: the floor, and the network, which sees it much nearer; down a slope and beyond an edge
the network agrees.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.visual_odometry.anchor_points import AnchorPoints
from sfm_depth_ros.visual_odometry.ground_plane import ground_of_depth
from sfm_depth_ros.visual_odometry.median import median

_FEWEST = 10  # landmarks that show the network's scale
_EVERY_S = 1.0  # between measurements of the floor
_HEIGHTS, _FEWEST_HEIGHTS = 9, 3  # newest measurements that count
_BELOW = 1.2  # heights of the camera below it, beyond which nothing stands
_SLOPE = 0.05  # of a floor that falls ahead, and of a camera's pitch when it brakes
_DEVIATIONS = 2.0  # by which a landmark must be too deep
_NETWORK_LOG = 0.3  # of depth, by which it must be farther than the network sees it


class FloorCheck:
    """Finds landmarks below the floor of one camera, image by image; not thread-safe."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget the floor (another model: its heights are in another unit)."""
        self._heights: deque[float] = deque(maxlen=_HEIGHTS)  # in the network's unit
        self._waited_s = math.inf

    @property
    def height(self) -> float | None:
        """Height above the floor in the network's unit; None before it is known."""
        if len(self._heights) < _FEWEST_HEIGHTS:
            return None
        return median(np.array(self._heights))

    def above(
        self,
        points: AnchorPoints,
        inverse: np.ndarray,
        intrinsics: Intrinsics,
        T_base_camera: np.ndarray,
        seconds: float,
    ) -> np.ndarray:
        """Whether each landmark may stand still, ``(N,)`` bool.

        Args:
            points: Landmarks beside ``inverse``.
            inverse: ``(h, w)`` float32 inverse depth of the network, in any unit.
            intrinsics: Its camera.
            T_base_camera: ``(4, 4)`` mounting; only its rotation counts.
            seconds: Time since the image before.
        """
        self._measure(inverse, intrinsics, T_base_camera, seconds)
        if len(points) < _FEWEST or not self._heights:
            return np.ones(len(points), bool)
        farther = np.log(points.output / points.inverse_depth)  # than by the network
        scale = median(farther)  # of the landmarks, that of a metre in the network's unit
        limit = _BELOW * median(np.array(self._heights)) * math.exp(scale)
        rays = np.stack(
            (
                (points.columns - intrinsics.cx) / intrinsics.fx,
                (points.rows - intrinsics.cy) / intrinsics.fy,
                np.ones(len(points)),
            ),
            axis=1,
        )
        rays = rays @ T_base_camera[:3, :3].T
        fall = -rays[:, 2] - _SLOPE * np.hypot(rays[:, 0], rays[:, 1])
        nearest = np.exp(-_DEVIATIONS * points.relative_std) / points.inverse_depth
        is_below = (nearest * fall > limit) & (farther - scale > _NETWORK_LOG)
        return np.asarray(~is_below)

    def _measure(
        self,
        inverse: np.ndarray,
        intrinsics: Intrinsics,
        T_base_camera: np.ndarray,
        seconds: float,
    ) -> None:
        self._waited_s += seconds
        if self._waited_s < _EVERY_S:
            return
        self._waited_s = 0.0
        with np.errstate(divide="ignore"):
            floor = ground_of_depth(1.0 / inverse, intrinsics, T_base_camera)
        if floor is not None:
            self._heights.append(floor.height)
