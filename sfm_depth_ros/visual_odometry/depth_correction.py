# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Global correction of a network's depth: a factor, or factor and shift of its inverse depth.

Metric and scale-ambiguous networks have one unknown, affine-invariant ones two:
``1 / depth = inverse_factor * output + inverse_shift``, with ``output`` the network's inverse
depth (Ranftl et al., TPAMI 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from sfm_depth_ros.visual_odometry.anchor_points import AnchorPoints

MIN_INVERSE_DEPTH = 1e-4  # 1/m; an affine fit may run through zero: beyond 10 km is infinitely far
MIN_POINTS = 10
_MODEL_STD = 0.1  # relative error of a good network's depth at one pixel
_EXACT = 1e-3  # relative error of the best landmark
_NORMAL_MAD = 1.4826
_TUNING = 2.5  # residuals of so many standard deviations weigh a quarter
_STEPS = 4
_CELLS_PER_SAMPLE = 2.0  # neighbouring cells share the network's error
# Standard deviation of a landmark as a share of the line's inverse depth, beyond which it does not
# count. Landmarks must know their inverse depth to half of their *own* value: of hardly known
# points, those remain that came out too near.
_HARDLY_KNOWN = 0.2


@dataclass(frozen=True, eq=False)
class DepthCorrection:
    """``1 / depth = inverse_factor * output + inverse_shift``."""

    inverse_factor: float = 1.0
    inverse_shift: float = 0.0  # 1/m
    # (2, 2) of (log inverse_factor, inverse_shift); 0 for what is not estimated
    covariance: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))

    @property
    def depth_factor(self) -> float:
        """Factor of depth where there is no shift."""
        return 1.0 / self.inverse_factor

    @property
    def relative_std(self) -> float:
        """Standard deviation of the factor over itself."""
        return math.sqrt(self.covariance[0, 0])

    def inverse_depth(self, output: np.ndarray) -> np.ndarray:
        """Corrected inverse depth in 1/m, at least ``MIN_INVERSE_DEPTH``."""
        corrected = output * np.asarray(self.inverse_factor, output.dtype)
        if self.inverse_shift:
            corrected += np.asarray(self.inverse_shift, output.dtype)
        return np.maximum(corrected, MIN_INVERSE_DEPTH, dtype=output.dtype)

    def describe(self) -> str:
        """The factors in words, for diagnostics."""
        if self.inverse_shift:
            return (
                f"1/depth = {self.inverse_factor:.4g} x output {self.inverse_shift:+.4g} 1/m "
                f"(factor +-{100 * self.relative_std:.1f} %)"
            )
        return f"depth x {self.depth_factor:.3f} (+-{100 * self.relative_std:.1f} %)"


def fit_factor(points: AnchorPoints) -> DepthCorrection | None:
    """Robust factor between the network's output and the landmarks of one image.

    Iteratively reweighted mean of the logarithms with Geman-McClure weights, begun at their
    median, so that nearly half of the area that landmarks stand for may be wrong.

    Returns:
        The factor with its variance, or None with fewer than ``MIN_POINTS`` points.
    """
    if len(points) < MIN_POINTS:
        return None
    offset = np.log(points.inverse_depth) - np.log(points.output)
    variance = points.relative_std**2 + points.output_spread**2 + _MODEL_STD**2
    area = points.area
    middle = weighted_median(offset, area)
    for _ in range(_STEPS):
        weights = area * _weights(offset - middle, variance)
        middle = float(weights @ offset / weights.sum())
    spread = weights @ (offset - middle) ** 2 / weights.sum()
    log_variance = float(spread + _MODEL_STD**2) / _samples(weights, points.cells)
    return DepthCorrection(math.exp(middle), 0.0, np.diag((log_variance, 0.0)))


def fit_affine(points: AnchorPoints) -> DepthCorrection | None:
    """Robust factor and shift of the inverse output against the landmarks of one image.

    A straight line with errors in both coordinates (York et al., Am. J. Phys. 2004): a network
    errs more than its landmarks, and least squares that take its output for exact flatten the
    line.
    Errors are relative to the inverse depth, weights are reweighted as above.

    Returns:
        Both with their covariance, or None where landmarks are too few, or too alike in depth to
        separate the two.
    """
    start = fit_factor(points)
    if start is None:
        return None
    unit = float(np.median(points.output))  # affine networks have any
    output, inverse = points.output / unit, points.inverse_depth
    slope, offset = start.inverse_factor * unit, 0.0
    deviation = points.relative_std * inverse
    network = points.output_spread**2 + _MODEL_STD**2
    size = np.maximum(slope * output, MIN_INVERSE_DEPTH)
    for _ in range(2 * _STEPS):
        fitted = np.maximum(slope * output + offset, MIN_INVERSE_DEPTH)
        own = (deviation / size) ** 2 + _EXACT**2
        true = (inverse / own + fitted / network) / (1.0 / own + 1.0 / network)
        size = np.maximum(true, 0.5 * fitted)
        own = (deviation / size) ** 2 + _EXACT**2
        residuals = (inverse - fitted) / size
        known = 1.0 / (1.0 + (deviation / size / _HARDLY_KNOWN) ** 8)
        weights = points.area * known * _weights(residuals, own + network)
        rows = np.stack((output, np.ones_like(output)), axis=1) / size[:, None]
        normal = (rows * weights[:, None]).T @ rows
        if np.linalg.cond(normal) > 1e8:
            return None
        share = network / (own + network)
        slope, offset = _line(output, inverse, weights / size**2, slope, share)
        if not 0.0 < slope < np.inf:  # nor NaN, which a filter would keep for ever
            return None
    spread = float(weights @ residuals**2 / weights.sum()) + _MODEL_STD**2
    covariance = np.linalg.inv(normal) * spread * weights.sum() / _samples(weights, points.cells)
    to_log = np.diag((1.0 / slope, 1.0))
    return DepthCorrection(slope / unit, offset, to_log @ covariance @ to_log)


def _line(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray, slope: float, share: np.ndarray
) -> tuple[float, float]:
    """Slope and offset of a line through points with errors in both, from the slope before.

    Args:
        x: ``(N,)``.
        y: ``(N,)``.
        weights: ``(N,)`` certainty of each point's distance from the line.
        slope: Of the line before.
        share: ``(N,)`` of the variance of that distance that is due to ``x``.
    """
    total = weights.sum()
    middle_x, middle_y = float(weights @ x / total), float(weights @ y / total)
    along, up = x - middle_x, y - middle_y
    adjusted = weights * ((1.0 - share) * along + share * up / slope)
    slope = float((adjusted @ up) / (adjusted @ along))
    return slope, middle_y - slope * middle_x


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Value that half of the weight lies below."""
    order = np.argsort(values)
    share = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(share, 0.5 * share[-1])])


def robust_spread(residuals: np.ndarray) -> float:
    """Standard deviation of a normal sample with the same median size, of ``(N > 0,)`` values."""
    middle = len(residuals) // 2
    return _NORMAL_MAD * float(np.partition(np.abs(residuals), middle)[middle])


def _weights(residuals: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Certainty of each point (1 for the most certain) times its Geman-McClure weight."""
    spread = robust_spread(residuals)
    limit = _TUNING**2 * (spread**2 + variance)
    return np.asarray(variance.min() / variance / (1.0 + residuals**2 / limit) ** 2)


def _samples(weights: np.ndarray, cells: np.ndarray) -> float:
    """Number of independent samples that the points are worth: of cells, two of which share."""
    by_cell = np.bincount(cells, weights)
    effective = by_cell.sum() ** 2 / np.sum(by_cell**2)
    return max(float(effective) / _CELLS_PER_SAMPLE, 1.0)
