# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A costmap like that of Nav2's voxel layer, for one source of points.

As nav2_costmap_2d has it: the source's height limits decide which points are used at all; rays
from the camera to 2 cells before each of them clear voxels up to raytrace_max_range, and not at
all where the camera is outside of the grid; then points within the layer's height limits and the
source's range mark theirs. A column is an obstacle while more than mark_threshold of its voxels
are marked.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class StandInVoxelLayer:
    """Grid around the origin of a frame that does not move.

    Args:
        costmap: ``ros__parameters`` of the local costmap.
        layer: Name of the layer in it.
    """

    def __init__(self, costmap: dict[str, Any], layer: str = "voxel_layer") -> None:
        self._layer = costmap[layer]
        self._source = self._layer[self._layer["observation_sources"]]
        self._step = np.array([costmap["resolution"]] * 2 + [self._layer["z_resolution"]])
        size = [costmap["width"], costmap["height"]]
        self._origin = np.array([-size[0] / 2, -size[1] / 2, self._layer["origin_z"]])
        cells = [round(side / costmap["resolution"]) for side in size]
        self.voxels = np.zeros((*cells, self._layer["z_voxels"]), bool)

    @property
    def obstacles(self) -> np.ndarray:
        """Columns that are marked, ``(width, height)`` cells."""
        return np.asarray(self.voxels.sum(axis=2) > self._layer["mark_threshold"])

    def is_obstacle(self, x: float, y: float) -> bool:
        """Whether the column at a place in metres is marked."""
        column, row, _ = self._cells(np.array([[x, y, self._origin[2]]]))[0]
        return bool(self.obstacles[column, row])

    def update(self, points: np.ndarray, camera: np.ndarray) -> None:
        """Take one cloud.

        Args:
            points: ``(N, 3)`` metres in the costmap's frame.
            camera: ``(3,)`` place of the camera in it.
        """
        source, layer = self._source, self._layer
        low, high = source["min_obstacle_height"], source["max_obstacle_height"]
        used = points[(points[:, 2] >= low) & (points[:, 2] <= high)]
        if source["clearing"] and self._inside(self._cells(camera[None])).all():
            for point in used:
                self._clear(camera, point)
        if not source["marking"]:
            return
        low, high = layer["min_obstacle_height"], layer["max_obstacle_height"]
        distance = np.linalg.norm(used - camera, axis=1)
        marks = (used[:, 2] >= low) & (used[:, 2] <= high)
        marks &= (distance >= source["obstacle_min_range"]) & (
            distance < source["obstacle_max_range"]
        )
        cells = self._cells(used[marks])
        self.voxels[tuple(cells[self._inside(cells)].T)] = True

    def _clear(self, camera: np.ndarray, point: np.ndarray) -> None:
        ray = point - camera
        length = float(np.linalg.norm(ray))
        end = min(max(length - 2 * self._step[0], 0.0), self._source["raytrace_max_range"])
        if ray[2] < 0:  # down to the grid's floor
            end = min(end, length * (self._origin[2] - camera[2]) / ray[2])
        steps = np.arange(self._source["raytrace_min_range"], end, self._step[0] / 2)
        cells = self._cells(camera + steps[:, None] / length * ray)
        self.voxels[tuple(cells[self._inside(cells)].T)] = False

    def _cells(self, points: np.ndarray) -> np.ndarray:
        return np.asarray(np.floor((points - self._origin) / self._step + 1e-9).astype(int))

    def _inside(self, cells: np.ndarray) -> np.ndarray:
        return np.asarray(((cells >= 0) & (cells < self.voxels.shape)).all(axis=1))
