# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Landmarks: tracked points of one image whose inverse depth is known, with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Static points of one image, triangulated over all views of their tracks.

    Points that move by themselves are never among them.
    """

    stamp_ns: int  # of the image
    intrinsics: Intrinsics  # camera of the tracking image, which ``pixels`` belong to
    pixels: np.ndarray  # (N, 2) float32, (column, row) in the tracking image
    inverse_depth: np.ndarray  # (N,) float64, 1/m along the optical axis, > 0
    inverse_depth_std: np.ndarray  # (N,) float64, 1/m, one standard deviation
    age: np.ndarray  # (N,) int64, images in which the track was seen
    ids: np.ndarray  # (N,) int64, number of the track, never used again

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def depth(self) -> np.ndarray:
        """Depth along the optical axis, ``(N,)`` metres."""
        return 1.0 / self.inverse_depth

    @property
    def relative_std(self) -> np.ndarray:
        """Standard deviation of the inverse depth as a share of it, ``(N,)``."""
        return self.inverse_depth_std / self.inverse_depth

    def selected(self, chosen: np.ndarray) -> Landmarks:
        """The landmarks chosen by a ``(N,)`` mask or by indices."""
        columns = (self.pixels, self.inverse_depth, self.inverse_depth_std, self.age, self.ids)
        return Landmarks(self.stamp_ns, self.intrinsics, *(column[chosen] for column in columns))

    @classmethod
    def none(cls, stamp_ns: int, intrinsics: Intrinsics) -> Landmarks:
        """No landmark at all, of one image."""
        empty, integers = np.zeros(0), np.zeros(0, np.int64)
        pixels = np.zeros((0, 2), np.float32)
        return cls(stamp_ns, intrinsics, pixels, empty, empty, integers, integers)
