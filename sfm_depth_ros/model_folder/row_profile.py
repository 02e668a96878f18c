# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth that needs no image: the median by image row, and one depth for all pixels.

A network that is no better than these two has learnt how high in the image a pixel is, and nothing
of what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics

FARTHEST = 80.0  # metres: as in the literature, what is farther does not count
_STEP = 0.02  # slope of a row's rays between two entries: about 4 rows at a focal length of 200
_FEWEST = 20  # depths that make an entry
_PER_IMAGE = 4000  # depths taken of an image at most, evenly spread


@dataclass(frozen=True, eq=False)
class RowProfile:
    """Median depth by image row, for any camera at the same height and pitch.

    Rows are kept as slopes of their rays, ``(row - cy) / fy``, positive below the optical axis.
    """

    slopes: np.ndarray  # `(N,)` float64, ascending
    depths: np.ndarray  # `(N,)` float64 metres
    everywhere: float  # metres: the median of all

    def image(self, intrinsics: Intrinsics) -> np.ndarray:
        """``(height, width)`` float32 metres: every row has its depth, beyond the ends the last.

        Between two slopes the logarithm of depth is linear.
        """
        slopes = (np.arange(intrinsics.height) - intrinsics.cy) / intrinsics.fy
        column = np.exp(np.interp(slopes, self.slopes, np.log(self.depths)))
        return np.repeat(column.astype(np.float32)[:, None], intrinsics.width, axis=1)

    def tensors(self) -> dict[str, np.ndarray]:
        """Arrays by name, for a file."""
        everywhere = np.array([self.everywhere])
        return {"slopes": self.slopes, "depths": self.depths, "everywhere": everywhere}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, np.ndarray]) -> RowProfile:
        """Inverse of :meth:`tensors`.

        Raises:
            KeyError: An array is missing.
        """
        everywhere = float(tensors["everywhere"][0])
        return cls(tensors["slopes"], tensors["depths"], everywhere)


class RowProfileFit:
    """Collects depth images of one or several cameras, and takes the medians."""

    def __init__(self) -> None:
        self._slopes: list[np.ndarray] = []
        self._depths: list[np.ndarray] = []

    def add(self, depth: np.ndarray, intrinsics: Intrinsics) -> None:
        """Take the known depths of an image.

        Args:
            depth: ``(height, width)`` metres; unknown where it is 0, not finite or beyond
                ``FARTHEST``.
            intrinsics: Camera of ``depth``.
        """
        rows, columns = np.nonzero((depth > 0) & (depth < FARTHEST))
        every = max(1, len(rows) // _PER_IMAGE)
        rows, columns = rows[::every], columns[::every]
        self._slopes.append((rows - intrinsics.cy) / intrinsics.fy)
        self._depths.append(depth[rows, columns].astype(np.float64))

    def profile(self) -> RowProfile | None:
        """The profile; None where too few depths are known."""
        slopes, depths = (
            np.concatenate(parts) if parts else np.zeros(0)
            for parts in (self._slopes, self._depths)
        )
        places = np.rint(slopes / _STEP).astype(int)
        found, counts = np.unique(places, return_counts=True)
        found = found[counts >= _FEWEST]
        if not len(found):
            return None
        medians = [np.median(depths[places == place]) for place in found]
        return RowProfile(found * _STEP, np.array(medians), float(np.median(depths)))


def require_profile(profile: RowProfile | None, source: str) -> RowProfile:
    """The profile.

    Raises:
        DataError: There is none.
    """
    if profile is None:
        raise DataError(
            f"{source}: too few known depths for a row profile; choose a bag with true depth, or "
            "with an odometer and some metres of driving"
        )
    return profile
