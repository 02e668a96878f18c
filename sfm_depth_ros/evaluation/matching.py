# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Predicted depth at the pixels whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.camera.preprocessing import CameraTruth
from sfm_depth_ros.evaluation.protocol import DepthProtocol


@dataclass(frozen=True, eq=False)
class MatchedDepth:
    """Truth and prediction of the same ``N`` points."""

    truth: np.ndarray  # `(N,)` float64 metres
    prediction: np.ndarray  # `(N,)` float64 metres, as predicted
    columns: np.ndarray  # `(N,)` float64 where the points lie in the network's image
    rows: np.ndarray  # `(N,)` float64 the same

    def __len__(self) -> int:
        return len(self.truth)


def match_depth(
    prediction: np.ndarray, truth: CameraTruth, protocol: DepthProtocol
) -> MatchedDepth:
    """Choose the points that count and read the prediction there.

    Only known points are interpolated: the result is that of resizing the whole prediction.

    Args:
        prediction: ``(h, w)`` metres at the network's size; NaN where there is none.
        truth: The truth; at the network's size where ``protocol.resize`` is ``"truth"``.
        protocol: What counts.
    """
    window = protocol.window(*truth.depth.shape)
    known = truth.depth[window]
    with np.errstate(invalid="ignore"):
        rows, columns = np.nonzero((known > protocol.min_depth) & (known < protocol.max_depth))
    rows, columns = rows + window[0].start, columns + window[1].start
    x, y = truth.columns[columns], truth.rows[rows]
    if protocol.resize == "truth":
        predicted = _nearest(prediction, x, y)
    elif protocol.resize == "depth":
        predicted = bilinear(prediction, x, y)
    else:
        with np.errstate(divide="ignore"):
            predicted = 1.0 / bilinear(1.0 / prediction, x, y)
    with np.errstate(invalid="ignore"):
        usable = predicted > 0  # NaN where the network did not see
    depth = truth.depth[rows, columns].astype(np.float64)
    return MatchedDepth(depth[usable], predicted[usable], x[usable], y[usable])


def bilinear(image: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Interpolate between pixel centres; the border's outer half is constant.

    Args:
        image: ``(h, w)``.
        columns: ``(N,)`` pixels.
        rows: ``(N,)`` pixels.

    Returns:
        ``(N,)`` float64, NaN outside of the image and where a neighbour that counts is NaN.
    """
    height, width = image.shape
    left, right, across = _neighbours(columns, width)
    above, below, down = _neighbours(rows, height)
    top = _mix(image[above, left], image[above, right], across)
    bottom = _mix(image[below, left], image[below, right], across)
    return np.where(_inside(image, columns, rows), _mix(top, bottom, down), np.nan)


def _neighbours(at: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixel before, pixel after, and the weight of the one after."""
    at = np.clip(at, 0.0, size - 1.0)
    before = np.minimum(at.astype(np.int64), max(0, size - 2))
    return before, np.minimum(before + 1, size - 1), at - before


def _mix(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted mean in which a weight of nought does not let infinities or NaN through."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    with np.errstate(invalid="ignore"):
        mixed = first * (1.0 - weight) + second * weight
    return np.where(weight == 0.0, first, np.where(weight == 1.0, second, mixed))


def _nearest(image: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    inside = _inside(image, columns, rows)
    x = np.clip(np.floor(columns + 0.5), 0, image.shape[1] - 1).astype(np.int64)
    y = np.clip(np.floor(rows + 0.5), 0, image.shape[0] - 1).astype(np.int64)
    return np.where(inside, image[y, x].astype(np.float64), np.nan)


def _inside(image: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    height, width = image.shape
    across = (columns >= -0.5) & (columns <= width - 0.5)
    return np.asarray(across & (rows >= -0.5) & (rows <= height - 0.5))
