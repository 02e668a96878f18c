# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Smooth local correction of log depth over image and depth, held by landmarks.

A bilateral grid (Chen et al., SIGGRAPH 2007) over (column, row, log depth): residuals of the
landmarks are splatted into it with their certainty, regularised towards nought, and read at every
pixel at that pixel's own depth, so that a near thing does not correct the wall behind it. Three
grids, each twice as fine as the one before, explain what the coarser ones leave (multilevel
B-splines, Lee et al., TVCG 1997): where landmarks are dense the field follows them closely, where
there are a few it follows their mean, where there are none it is nought.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np

from sfm_depth_ros.visual_odometry.depth_correction import robust_spread

VARIANCE_STEP = 2  # pixels between those whose variance is read
_LEVELS = 3
_COARSE_CELLS = 5  # cells of the coarsest grid over the image's width
_COARSE_LOG_DEPTH = 1.0
_NEAREST, _FARTHEST = 0.3, 200.0  # metres, ends of the grid; depth beyond is read at its end
_FIELD_STD = 0.3  # of a network's error in log depth at each level: the prior
_WORST_NETWORK_STD = 0.8  # of log depth, in a place unlike anything learnt
_SMALLEST_STD = 0.05  # of a landmark's residual: below it the network's pixels are not worth more
_TUNING = 2.5  # residuals of so many spreads weigh a quarter
# The same of landmarks that are farther than the network has it: traffic that drives ahead is
# consistent with the epipolar geometry, and triangulates too far by as much as it keeps up.
_FARTHER_TUNING = 1.7
_SMALLEST_SPREAD = 0.15
_CORNERS = np.array(tuple(product((0, 1), repeat=3)))  # of a cell: (depth, row, column)


@dataclass(frozen=True, eq=False)
class FieldPoints:
    """``N`` residuals of log depth with their place and variance."""

    columns: np.ndarray  # (N,) pixels
    rows: np.ndarray  # (N,) pixels
    log_depth: np.ndarray  # (N,) of the network after its global correction
    residual: np.ndarray  # (N,) log of landmark's depth over it
    variance: np.ndarray  # (N,) of the residual

    def __len__(self) -> int:
        return len(self.residual)


@dataclass(frozen=True, eq=False)
class FieldNodes:
    """Corrections and their variance on the finest grid, ``(depth, row, column)`` float32."""

    correction: np.ndarray
    variance: np.ndarray


class CorrectionField:
    """Fits and reads the field for images of one size.

    Args:
        height: Of the network's image, pixels.
        width: Of the network's image, pixels.
    """

    def __init__(self, height: int, width: int) -> None:
        coarse = width / _COARSE_CELLS
        self._pixel_cell = coarse / 2 ** (_LEVELS - 1)
        self._depth_cell = _COARSE_LOG_DEPTH / 2 ** (_LEVELS - 1)
        planes = math.ceil(math.log(_FARTHEST / _NEAREST) / _COARSE_LOG_DEPTH)
        self._cells = np.array((planes, math.ceil(height / coarse), _COARSE_CELLS))
        columns = (np.arange(width, dtype=np.float32) + 0.5) / np.float32(self._pixel_cell)
        rows = (np.arange(height, dtype=np.float32) + 0.5) / np.float32(self._pixel_cell)
        self._columns, self._rows = np.meshgrid(columns, rows)

    def fit(self, points: FieldPoints) -> FieldNodes:
        """Fit the landmarks of one image."""
        place = self._place(points)
        left = points.residual.copy()
        certainty = 1.0 / (points.variance + _SMALLEST_STD**2 + _excess(left))
        correction = np.zeros(self._cells + 1)
        for level in range(_LEVELS):
            if level:
                correction = _twice_as_fine(correction)
            weights = certainty * _robust_weights(left)
            index, share = _splat(place / 2 ** (_LEVELS - 1 - level), correction.shape)
            evidence = _sum(index, share * weights, correction.shape)
            moment = _sum(index, share * (weights * left), correction.shape)
            if level == 0:
                evidence, moment = _blurred(evidence), _blurred(moment)
            step = moment / (evidence + 1.0 / _FIELD_STD**2)
            left -= np.sum(share * step.ravel()[index], axis=0)
            correction += step
            if level == 1:
                square = _sum(index, share * (weights * np.minimum(left**2, 1.0)), evidence.shape)
                variance = _variance(square, evidence)
        return FieldNodes(correction.astype(np.float32), _twice_as_fine(variance))

    def read(self, nodes: FieldNodes, log_inverse: np.ndarray) -> np.ndarray:
        """The correction of log depth at every pixel.

        Args:
            nodes: Of ``fit``.
            log_inverse: ``(h, w)`` float32 logarithm of the inverse depth, finite.

        Returns:
            ``(h, w)`` float32.
        """
        correction = nodes.correction
        columns = correction.shape[2]
        deeper = np.concatenate((correction[1:], correction[-1:]))
        plane, between = self._planes(correction.shape, log_inverse, self._rows)
        at_planes: list[np.ndarray] = [
            # planes one below the other
            cv2.remap(values.reshape(-1, columns), self._columns, plane, cv2.INTER_LINEAR)
            for values in (correction, deeper)
        ]
        near, far = at_planes
        far -= near
        far *= between
        near += far
        return near

    def read_variance(self, nodes: FieldNodes, log_inverse: np.ndarray) -> np.ndarray:
        """Variance of the corrected log depth, float32, at every second pixel and row."""
        step = slice(None, None, VARIANCE_STEP), slice(None, None, VARIANCE_STEP)
        rows, columns = self._rows[step], np.ascontiguousarray(self._columns[step])
        shape = nodes.variance.shape
        plane, _ = self._planes(shape, log_inverse[step], rows)
        flat = nodes.variance.reshape(-1, shape[2])
        return cv2.remap(flat, columns, plane, cv2.INTER_LINEAR)

    def _planes(
        self, shape: tuple[int, ...], log_inverse: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Row of each pixel in the planes one below the other, and its share of the next plane."""
        depth = log_inverse * np.float32(-1.0 / self._depth_cell)
        depth -= np.float32(math.log(_NEAREST) / self._depth_cell)
        np.clip(depth, 0.0, shape[0] - 1.001, out=depth)
        plane = np.floor(depth)
        depth -= plane
        plane *= shape[1]
        plane += rows
        return plane, depth

    def _place(self, points: FieldPoints) -> np.ndarray:
        """``(3, N)`` (depth, row, column) of the points in cells of the finest grid."""
        depth = (points.log_depth - math.log(_NEAREST)) / self._depth_cell
        rows = (points.rows + 0.5) / self._pixel_cell
        columns = (points.columns + 0.5) / self._pixel_cell
        return np.stack((depth, rows, columns))


def _variance(square: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """Variance of the corrected log depth at the nodes, float32.

    What the prior leaves open after so much evidence, and how much landmarks there still differ.
    """
    prior = 1.0 / _FIELD_STD**2
    unexplained = (square + _SMALLEST_SPREAD**2 * prior) / (evidence + prior)
    return np.asarray(unexplained + 1.0 / (evidence + prior), np.float32)


def _excess(residuals: np.ndarray) -> float:
    """Variance beyond that of a network: landmarks that differ so much are wrong themselves."""
    return (
        max(robust_spread(residuals) ** 2 - _WORST_NETWORK_STD**2, 0.0) if len(residuals) else 0.0
    )


def _robust_weights(residuals: np.ndarray) -> np.ndarray:
    if not len(residuals):
        return residuals
    spread = max(robust_spread(residuals), _SMALLEST_SPREAD)
    tuning = np.where(residuals > 0, _FARTHER_TUNING, _TUNING)
    return np.asarray(1.0 / (1.0 + (residuals / (tuning * spread)) ** 2) ** 2)


def _splat(place: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """``(8, N)`` flat indices of the nodes around each point, and its trilinear share of each."""
    _, rows, columns = shape
    last = np.array(shape)[:, None] - 1
    place = np.minimum(np.maximum(place, 0.0), last - 1e-6)
    cell = place.astype(np.int64)
    inside = place - cell
    strides = np.array((rows * columns, columns, 1))
    index = strides @ cell + (_CORNERS @ strides)[:, None]
    depth, row, column = np.stack((1.0 - inside, inside), axis=1)  # (2, N) each
    share = depth[:, None, None] * row[:, None] * column
    return index, share.reshape(8, -1)


def _sum(index: np.ndarray, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.bincount(index.ravel(), values.ravel(), math.prod(shape)).reshape(shape)


def _blurred(nodes: np.ndarray) -> np.ndarray:
    """Binomial filter (1, 2, 1) / 4 along every axis; nothing comes in from outside."""
    for _ in range(3):
        nodes = nodes.transpose(1, 2, 0)  # every axis comes last once
        blurred = 0.5 * nodes
        blurred[..., 1:] += 0.25 * nodes[..., :-1]
        blurred[..., :-1] += 0.25 * nodes[..., 1:]
        nodes = blurred
    return nodes


def _twice_as_fine(nodes: np.ndarray) -> np.ndarray:
    """Linear interpolation halfway between the nodes of every axis."""
    for _ in range(3):
        nodes = nodes.transpose(1, 2, 0)  # every axis comes last once
        finer = np.empty((*nodes.shape[:2], 2 * nodes.shape[2] - 1), nodes.dtype)
        finer[..., ::2] = nodes
        finer[..., 1::2] = 0.5 * (nodes[..., 1:] + nodes[..., :-1])
        nodes = finer
    return nodes
