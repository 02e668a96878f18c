# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Landmarks beside the depth network's output at their pixels."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.visual_odometry.landmarks import Landmarks

_CELLS_ACROSS = 10
_ROWS_AROUND, _COLUMNS_AROUND = (
    offsets.reshape(9, 1) for offsets in np.mgrid[-1:2, -1:2]
)  # of a pixel and its eight neighbours


@dataclass(frozen=True, eq=False)
class AnchorPoints:
    """``N`` landmarks of one image with the network's output there."""

    columns: np.ndarray  # (N,) float64, in the network's image
    rows: np.ndarray  # (N,) float64, in the network's image
    output: np.ndarray  # (N,) float64, the network's inverse output, > 0
    # (N,) half the logarithm of the largest over the smallest output within one pixel: at a
    # depth edge a landmark may belong to either side
    output_spread: np.ndarray
    inverse_depth: np.ndarray  # (N,) float64, of the landmarks, 1/m
    relative_std: np.ndarray  # (N,) float64, standard deviation of the inverse depth over itself
    ids: np.ndarray  # (N,) int64, number of the track
    # (N,) int64, square cell of the image (ten across) that each lies in: corners crowd where
    # texture is, while depth is that of all pixels, so the points of one cell share its weight
    cells: np.ndarray

    def __len__(self) -> int:
        return len(self.output)

    def selected(self, chosen: np.ndarray) -> AnchorPoints:
        """The points chosen by a ``(N,)`` mask."""
        return AnchorPoints(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def area(self) -> np.ndarray:
        """Share of a cell that each point stands for, ``(N,)``."""
        return np.asarray(1.0 / np.bincount(self.cells)[self.cells])

    @classmethod
    def of(cls, landmarks: Landmarks, output: np.ndarray, intrinsics: Intrinsics) -> AnchorPoints:
        """Read the output at the landmarks.

        Those outside of the image are left out, and those within a pixel of where the output is
        unknown (NaN, infinite, negative) or infinitely far (0).

        Args:
            landmarks: Of the same moment, in any image of the same camera.
            output: ``(h, w)`` float32 inverse output of the network.
            intrinsics: Camera of ``output``.
        """
        columns, rows = _network_pixels(landmarks, intrinsics)
        height, width = output.shape
        known = (columns >= 0) & (rows >= 0) & (columns <= width - 1) & (rows <= height - 1)
        known &= np.isfinite(landmarks.inverse_depth_std) & (landmarks.inverse_depth > 0)
        around = _around(output, columns, rows)
        low, high = around.min(axis=0, initial=np.inf), around.max(axis=0, initial=-np.inf)
        known &= (low > 0) & (high < np.inf)  # NaN is neither
        columns, rows, seen = columns[known], rows[known], landmarks.selected(known)
        return cls(
            columns,
            rows,
            _bilinear(output, columns, rows),
            0.5 * np.log(high[known] / low[known]),
            seen.inverse_depth,
            seen.relative_std,
            seen.ids,
            image_cells(columns, rows, width),
        )


def _around(output: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Output at the pixel nearest to each point and at its neighbours, ``(9, N)`` float64."""
    height, width = output.shape
    at = np.clip(np.rint(rows).astype(np.int64) + _ROWS_AROUND, 0, height - 1) * width
    at += np.clip(np.rint(columns).astype(np.int64) + _COLUMNS_AROUND, 0, width - 1)
    return np.asarray(output.reshape(-1)[at], np.float64)


def _bilinear(output: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Output between the four pixels around each point of the image, ``(N,)`` float64."""
    height, width = output.shape
    left = np.minimum(columns.astype(np.int64), max(width - 2, 0))
    top = np.minimum(rows.astype(np.int64), max(height - 2, 0))
    at, flat = top * width + left, output.reshape(-1)
    right, down = int(width > 1), width * int(height > 1)
    x, y = columns - left, rows - top
    upper = flat[at] * (1 - x) + flat[at + right] * x
    lower = flat[at + down] * (1 - x) + flat[at + down + right] * x
    return np.asarray(upper * (1 - y) + lower * y)


def image_cells(columns: np.ndarray, rows: np.ndarray, width: int) -> np.ndarray:
    """Cell of each point of an image ``width`` pixels wide, ``(N,)`` int64."""
    size = width / _CELLS_ACROSS
    column = np.clip(columns / size, 0, _CELLS_ACROSS - 1).astype(np.int64)
    return np.asarray((rows / size).astype(np.int64) * _CELLS_ACROSS + column)


def _network_pixels(landmarks: Landmarks, to: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of the landmarks in another image of the same camera."""
    source, pixels = landmarks.intrinsics, landmarks.pixels.astype(np.float64)
    columns = (pixels[:, 0] - source.cx) * (to.fx / source.fx) + to.cx
    rows = (pixels[:, 1] - source.cy) * (to.fy / source.fy) + to.cy
    return columns, rows
