# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Columns of all living tracks: where each was seen in the window, and its inverse depth."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.visual_odometry.landmarks import Landmarks

_START_STD = 0.3  # 1/m, of a track that was seen once
_START_INVERSE_DEPTH = 0.05  # 1/m, where no neighbour is known
_SMALLEST = 1e-4  # 1/m
_MEMORY = 0.8  # of what old views know, a frame: a track wanders over its surface
_NEAREST_Z = 1e-3  # of a direction after the motion: behind the camera below
_LANDMARK_AGE = 3  # images
_LANDMARK_STD = 0.5  # of the inverse depth, relative: above, the depth is not known


@dataclass(frozen=True, eq=False)
class TrackTable:
    """One row a track; every track is seen in the newest frame of the window."""

    ids: np.ndarray  # (N,) int64
    pixels: np.ndarray  # (N, 2) float32 in the newest image
    rays: np.ndarray  # (N, F, 2) x/z, y/z in every frame of the window, NaN before it was seen
    inverse_depth: np.ndarray  # (N,) 1/m in the newest camera
    variance: np.ndarray  # (N,) of the inverse depth
    old_inverse_depth: np.ndarray  # (N,) 1/m by the views that have left the window
    old_information: np.ndarray  # (N,) m^2 of that, 0 = none
    age: np.ndarray  # (N,) int64, images
    strikes: np.ndarray  # (N,) int64, recent images in which it disagreed with the motion

    @classmethod
    def empty(cls) -> TrackTable:
        """No track, one frame."""
        none, integers = np.zeros(0), np.zeros(0, np.int64)
        pixels, rays = np.zeros((0, 2), np.float32), np.zeros((0, 1, 2))
        return cls(integers, pixels, rays, none, none, none, none, integers, integers)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def bearings(self) -> np.ndarray:
        """Directions in the newest camera with z = 1, ``(N, 3)``."""
        return np.concatenate([self.rays[:, -1], np.ones((len(self), 1))], 1)

    def selected(self, chosen: np.ndarray) -> TrackTable:
        """The tracks chosen by a mask."""
        return TrackTable(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def with_corners(self, first_id: int, pixels: np.ndarray, rays: np.ndarray) -> TrackTable:
        """Append tracks that begin in the newest frame; inverse depth of the nearest track."""
        count = len(pixels)
        history = np.full((count, self.rays.shape[1], 2), np.nan)
        history[:, -1] = rays
        new = TrackTable(
            np.arange(first_id, first_id + count),
            pixels,
            history,
            self._neighbours_inverse_depth(pixels),
            np.full(count, _START_STD**2),
            np.zeros(count),
            np.zeros(count),
            np.ones(count, np.int64),
            np.zeros(count, np.int64),
        )
        return TrackTable(
            *(
                np.concatenate([getattr(self, field.name), getattr(new, field.name)])
                for field in fields(self)
            )
        )

    def _neighbours_inverse_depth(self, pixels: np.ndarray) -> np.ndarray:
        known = (self.age >= 3) & (self.strikes == 0)
        if known.sum() < 5:
            return np.full(len(pixels), _START_INVERSE_DEPTH)
        x, y = self.pixels[known].T
        squares = (pixels[:, :1] - x) ** 2 + (pixels[:, 1:] - y) ** 2
        return np.maximum(self.inverse_depth[known][squares.argmin(1)], _SMALLEST)

    def moved(
        self, T_earlier_later: np.ndarray, pixels: np.ndarray, rays: np.ndarray
    ) -> TrackTable:
        """The same tracks in the next frame, whose observations they get.

        Args:
            T_earlier_later: ``(4, 4)`` motion of the camera.
            pixels: ``(N, 2)`` float32 in the new image.
            rays: ``(N, 2)`` x/z, y/z of the same.
        """
        forward = T_earlier_later[:3, 2]  # the later camera's axis in the earlier camera
        straight = self.bearings @ forward
        along = T_earlier_later[:3, 3] @ forward

        def carried(inverse_depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            z = np.maximum(straight - inverse_depth * along, _NEAREST_Z)
            return inverse_depth / z, np.abs(straight) / z**2

        inverse_depth, slope = carried(self.inverse_depth)
        old, old_slope = carried(self.old_inverse_depth)
        return replace(
            self,
            pixels=pixels,
            rays=np.concatenate([self.rays, rays[:, None]], 1),
            inverse_depth=np.maximum(inverse_depth, _SMALLEST),
            variance=self.variance * slope**2,
            old_inverse_depth=old,
            old_information=_MEMORY * self.old_information / np.maximum(old_slope, 1e-6) ** 2,
            age=self.age + 1,
        )

    def updated(
        self, inverse_depth: np.ndarray, variance: np.ndarray, strikes: np.ndarray
    ) -> TrackTable:
        """The same tracks with other inverse depths, ``(N,)`` each."""
        return replace(self, inverse_depth=inverse_depth, variance=variance, strikes=strikes)

    def rescaled(self, factor: float) -> TrackTable:
        """The same tracks where every metre becomes ``factor`` metres."""
        return replace(
            self,
            inverse_depth=self.inverse_depth / factor,
            variance=self.variance / factor**2,
            old_inverse_depth=self.old_inverse_depth / factor,
            old_information=self.old_information * factor**2,
        )

    def without_frame(self, index: int) -> TrackTable:
        """The same tracks without one frame of the window."""
        return replace(self, rays=np.delete(self.rays, index, axis=1))

    def with_old_view(self, inverse_depth: np.ndarray, information: np.ndarray) -> TrackTable:
        """Add what a view that leaves the window knows; information 0 = nothing."""
        total = self.old_information + information
        mean = self.old_information * self.old_inverse_depth + information * inverse_depth
        mean = np.divide(mean, total, out=np.zeros_like(total), where=total > 0)
        return replace(self, old_inverse_depth=mean, old_information=total)

    def fused_inverse_depth(self) -> tuple[np.ndarray, np.ndarray]:
        """Inverse depth and variance over the window and all views before it, each ``(N,)``."""
        own = 1.0 / self.variance
        total = own + self.old_information
        mean = own * self.inverse_depth + self.old_information * self.old_inverse_depth
        return mean / total, 1.0 / total

    def landmarks(self, stamp_ns: int, intrinsics: Intrinsics, deviation: float) -> Landmarks:
        """Static tracks whose inverse depth is known; ``deviation`` is that of their scale."""
        inverse_depth, variance = self.fused_inverse_depth()
        # the scale is common to all landmarks, and uncertain by itself
        std = np.sqrt(variance + (deviation * inverse_depth) ** 2)
        chosen = (self.age >= _LANDMARK_AGE) & (self.strikes == 0)
        chosen &= std < _LANDMARK_STD * inverse_depth
        return Landmarks(
            stamp_ns, intrinsics, self.pixels, inverse_depth, std, self.age, self.ids
        ).selected(chosen)
