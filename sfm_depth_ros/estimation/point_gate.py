# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gate of the point cloud for costmaps: floor and ceiling out, near band, one point a voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.config.nodes import NO_HEIGHT
from sfm_depth_ros.config.schema import DepthNodeConfig

_CELL_BITS = 21  # of a voxel's index along each axis: 2 million voxels to either side


@dataclass(frozen=True)
class PointGate:
    """Points that are published."""

    min_height: float = -NO_HEIGHT  # metres above base_frame's origin
    max_height: float = NO_HEIGHT  # the same
    max_depth: float = np.inf  # metres along the optical axis
    voxel_size: float = 0.0  # side of a voxel in metres; 0 = every point

    @classmethod
    def of(cls, config: DepthNodeConfig) -> PointGate:
        """The gate that the parameters describe."""
        return cls(
            config.points_min_height,
            config.points_max_height,
            config.points_max_depth,
            config.points_voxel_size,
        )

    @property
    def needs_mounting(self) -> bool:
        """Whether the camera's place on the robot must be known."""
        return self.min_height > -NO_HEIGHT or self.max_height < NO_HEIGHT

    def apply(self, points: np.ndarray, T_base_camera: np.ndarray | None) -> np.ndarray | None:
        """Leave out what lies outside, and thin the rest.

        Args:
            points: ``(N,)`` array with fields x, y, z in metres, in the optical frame.
            T_base_camera: ``(4, 4)`` mounting: pose of the optical frame in the base; None while
                it is not known.

        Returns:
            The points that remain, unchanged; None where the mounting is needed and not known,
            since a cloud with its floor would be taken for obstacles.
        """
        kept = points[points["z"] <= self.max_depth]
        if self.needs_mounting:
            if T_base_camera is None:
                return None
            heights = heights_of(kept, T_base_camera)
            kept = kept[(heights >= self.min_height) & (heights <= self.max_height)]
        return thinned(kept, self.voxel_size) if self.voxel_size > 0 else kept


def heights_of(points: np.ndarray, T_base_camera: np.ndarray) -> np.ndarray:
    """Heights of points above the base's origin, ``(N,)`` metres."""
    up = T_base_camera[2].astype(np.float32)
    return up[0] * points["x"] + up[1] * points["y"] + up[2] * points["z"] + up[3]


def thinned(points: np.ndarray, size: float) -> np.ndarray:
    """One point of every voxel, the nearest along the optical axis.

    Args:
        points: ``(N,)`` array with fields x, y, z in metres.
        size: Side of a voxel in metres.
    """
    order = np.argsort(points["z"], kind="stable")
    cells = np.zeros(len(points), np.int64)
    half = 1 << (_CELL_BITS - 1)
    for axis in ("x", "y", "z"):
        along = np.floor(points[axis][order] / np.float32(size))
        index = np.clip(along, -half, half - 1).astype(np.int64) + half
        cells = (cells << _CELL_BITS) | index
    _, first = np.unique(cells, return_index=True)
    return points[order[first]]
