# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth errors as the literature counts them (Eigen et al., NIPS 2014), unscaled and scaled."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from sfm_depth_ros.evaluation.protocol import MAX_DEPTH, MIN_DEPTH


@dataclass(frozen=True)
class DepthErrors:
    """Errors of one frame, or their mean over frames."""

    abs_rel: float  # Mean of |prediction - truth| / truth
    sq_rel: float  # Mean of (prediction - truth)^2 / truth, metres
    rmse: float  # Root mean square error, metres
    rmse_log: float  # Root mean square of the difference of logarithms
    a1: float  # Share of pixels with max(prediction / truth, truth / prediction) < 1.25
    a2: float  # The same below 1.25^2
    a3: float  # The same below 1.25^3
    points: int  # Number of pixels compared


def depth_errors(
    prediction: np.ndarray,
    truth: np.ndarray,
    min_depth: float = MIN_DEPTH,
    max_depth: float = MAX_DEPTH,
    median_scaled: bool = False,
) -> DepthErrors | None:
    """Compare a predicted depth image with the truth.

    Args:
        prediction: ``(H, W)`` metres; NaN is left out, +Inf counts as ``max_depth``.
        truth: ``(H, W)`` metres; 0, NaN and everything outside the range is left out.
        min_depth: Nearest truth that counts; predictions are clamped to it.
        max_depth: Farthest truth that counts; predictions are clamped to it.
        median_scaled: Divide the prediction by the frame's own ratio of medians first, as
            scale-ambiguous methods are compared.

    Returns:
        The errors, or None where nothing can be compared.
    """
    known, predicted = _known_pixels(prediction, truth, min_depth, max_depth)
    if known.size == 0:
        return None
    if median_scaled:
        predicted = predicted * (np.median(known) / np.median(predicted))
    return _errors(np.clip(predicted, min_depth, max_depth), known)


def depth_scale_ratio(
    prediction: np.ndarray,
    truth: np.ndarray,
    min_depth: float = MIN_DEPTH,
    max_depth: float = MAX_DEPTH,
) -> float | None:
    """Median over pixels with truth of predicted / true depth; above 1 = predicted too large.

    Args:
        prediction: ``(H, W)`` metres; NaN is left out.
        truth: ``(H, W)`` metres; 0, NaN and everything outside the range is left out.
        min_depth: Nearest truth that counts.
        max_depth: Farthest truth that counts.
    """
    known, predicted = _known_pixels(prediction, truth, min_depth, max_depth)
    return float(np.median(predicted / known)) if known.size else None


def affine_aligned(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Depth whose inverse has the gain and the offset that fit the truth of its frame best.

    Least squares in inverse depth, as relative networks are compared (Ranftl et al., TPAMI 2022).

    Args:
        prediction: ``(N,)`` depth in an unknown unit: its inverse is inverse depth up to a gain
            and an offset.
        truth: ``(N,)`` metres of the same points.

    Returns:
        ``(N,)`` metres; +Inf where the fitted inverse depth is not positive.
    """
    inverse = 1.0 / prediction.astype(np.float64)
    columns = np.stack((inverse, np.ones_like(inverse)), axis=1)
    (gain, offset), *_ = np.linalg.lstsq(columns, 1.0 / truth.astype(np.float64), rcond=None)
    fitted = gain * inverse + offset
    with np.errstate(divide="ignore"):
        return np.where(fitted > 0, 1.0 / np.maximum(fitted, 0.0), np.inf)


def mean_errors(frames: list[DepthErrors]) -> dict[str, float | int] | None:
    """Mean over frames of every error, with the number of frames and of all points.

    Every frame weighs the same, however many points it has, as in the published evaluations.

    Returns:
        ``{abs_rel, sq_rel, rmse, rmse_log, a1, a2, a3, points, frames}``, or None without frames.
    """
    if not frames:
        return None
    report: dict[str, float | int] = {
        field.name: float(np.mean([getattr(errors, field.name) for errors in frames]))
        for field in dataclasses.fields(DepthErrors)
    }
    report["points"] = sum(errors.points for errors in frames)
    report["frames"] = len(frames)
    return report


def _known_pixels(
    prediction: np.ndarray, truth: np.ndarray, min_depth: float, max_depth: float
) -> tuple[np.ndarray, np.ndarray]:
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction is {prediction.shape}, truth is {truth.shape}")
    with np.errstate(invalid="ignore"):
        known = (truth > min_depth) & (truth < max_depth) & (prediction > 0)
    return truth[known].astype(np.float64), prediction[known].astype(np.float64)


def _errors(prediction: np.ndarray, truth: np.ndarray) -> DepthErrors:
    difference = prediction - truth
    log_difference = np.log(prediction / truth)
    factor = np.exp(np.abs(log_difference))
    return DepthErrors(
        abs_rel=float(np.mean(np.abs(difference) / truth)),
        sq_rel=float(np.mean(difference**2 / truth)),
        rmse=float(np.sqrt(np.mean(difference**2))),
        rmse_log=float(np.sqrt(np.mean(log_difference**2))),
        a1=float(np.mean(factor < 1.25)),
        a2=float(np.mean(factor < 1.25**2)),
        a3=float(np.mean(factor < 1.25**3)),
        points=int(truth.size),
    )


DISTANCE_EDGES = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0)


@dataclass
class DistanceErrors:
    """Sums over points within each range of true distance; the last one is open."""

    # Points
    count: np.ndarray = field(default_factory=lambda: np.zeros(len(DISTANCE_EDGES), np.int64))
    # Sum of |prediction - truth| / truth
    relative: np.ndarray = field(default_factory=lambda: np.zeros(len(DISTANCE_EDGES)))
    # Sum of (prediction - truth) / truth
    bias: np.ndarray = field(default_factory=lambda: np.zeros(len(DISTANCE_EDGES)))

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Count ``(N,)`` points in metres."""
        bins = np.searchsorted(DISTANCE_EDGES, truth, side="right") - 1
        off = (prediction - truth) / truth
        size = len(DISTANCE_EDGES)
        self.count += np.bincount(bins, minlength=size)
        self.relative += np.bincount(bins, np.abs(off), size)
        self.bias += np.bincount(bins, off, size)

    def as_dicts(self) -> list[dict[str, float | int | None]]:
        """``{from_m, to_m, abs_rel, bias, points}`` of every range that has points."""
        ends = [*DISTANCE_EDGES[1:], None]
        return [
            {
                "from_m": start,
                "to_m": end,
                "abs_rel": float(self.relative[k] / self.count[k]),
                "bias": float(self.bias[k] / self.count[k]),
                "points": int(self.count[k]),
            }
            for k, (start, end) in enumerate(zip(DISTANCE_EDGES, ends, strict=True))
            if self.count[k]
        ]


def join_distances(parts: Iterable[DistanceErrors]) -> DistanceErrors:
    """The points of several drives as one set."""
    joined = DistanceErrors()
    for part in parts:
        joined.count += part.count
        joined.relative += part.relative
        joined.bias += part.bias
    return joined
