# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Landmarks beside the depth network's output at their pixels."""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.visual_odometry.landmarks import Landmarks

_CELLS_ACROSS = 10
_NEIGHBOURS = np.ones((3, 3), np.uint8)


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
        inside = (columns >= 0) & (rows >= 0) & (columns <= width - 1) & (rows <= height - 1)
        inside &= np.isfinite(landmarks.inverse_depth_std) & (landmarks.inverse_depth > 0)
        if not inside.any():
            nothing = np.zeros(0)
            integers = np.zeros(0, np.int64)
            return cls(nothing, nothing, nothing, nothing, nothing, nothing, integers, integers)
        columns, rows, seen = columns[inside], rows[inside], landmarks.selected(inside)
        with np.errstate(invalid="ignore"):
            output = np.where(np.isfinite(output) & (output > 0), output, np.float32(0))
        lowest, highest = cv2.erode(output, _NEIGHBOURS), cv2.dilate(output, _NEIGHBOURS)
        at = np.rint(rows).astype(int), np.rint(columns).astype(int)
        low, high = lowest[at].astype(np.float64), highest[at].astype(np.float64)
        x, y = columns.astype(np.float32)[:, None], rows.astype(np.float32)[:, None]
        here = cv2.remap(output, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        known = low > 0
        spread = 0.5 * np.log(high[known] / low[known])
        return cls(
            columns[known],
            rows[known],
            here[known, 0].astype(np.float64),
            spread,
            seen.inverse_depth[known],
            seen.relative_std[known],
            seen.ids[known],
            image_cells(columns[known], rows[known], width),
        )


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
