# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Quality of a confidence: share of error, sparsification, calibration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sfm_depth_ros.visual_odometry.confidence import TOLERANCE

BINS = 10  # of confidence, each a tenth wide
STEPS = 20  # shares of points left out
LEAST = 0.2  # share of the points that counts as least confident
SAMPLE = 20_000  # points of a frame that are sorted, at most


def error_share_of_least_confident(confidence: np.ndarray, error: np.ndarray) -> float | None:
    """Share of the squared error that the least confident ``LEAST`` of the points carry.

    Args:
        confidence: ``(N,)``.
        error: ``(N,)`` predicted minus true depth, metres.

    Returns:
        In [0, 1]; ``LEAST`` itself where confidence is worth nothing, None without any error.
    """
    square = np.asarray(error, np.float64) ** 2
    if not len(square) or square.sum() == 0:
        return None
    count = round(LEAST * len(square))
    least = np.argsort(confidence, kind="stable")[:count]
    return float(square[least].sum() / square.sum())


def sparsification(confidence: np.ndarray, error: np.ndarray, steps: int = STEPS) -> np.ndarray:
    """Root mean square error of what remains as the least confident points are left out.

    As Ilg et al., ECCV 2018.

    Args:
        confidence: ``(N > 0,)``.
        error: ``(N,)`` predicted minus true depth, metres.
        steps: Number of shares that are left out: 0, 1 / steps, 2 / steps, ...

    Returns:
        ``(2, steps)`` metres: the remaining error by confidence, and the same by the true error,
        which is the best possible.
    """
    square = np.asarray(error, np.float64) ** 2
    first = np.arange(steps) * len(square) // steps

    def remaining(order: np.ndarray) -> np.ndarray:
        sums = np.cumsum(square[order][::-1])[::-1]  # of all points from each one on
        return np.sqrt(sums[first] / (len(square) - first))

    by_confidence = remaining(np.argsort(confidence, kind="stable"))
    return np.stack((by_confidence, remaining(np.argsort(-square, kind="stable"))))


@dataclass
class ConfidenceErrors:
    """Collects frames: every frame counts alike in shares and curves, every pixel in a bin."""

    shares: list[float] = field(default_factory=list)  # of `error_share_of_least_confident`
    curves: list[np.ndarray] = field(default_factory=list)  # of `sparsification`
    # `(3, BINS)`: pixels, those whose depth is off by less than TOLERANCE, sum of the confidence
    bins: np.ndarray = field(default_factory=lambda: np.zeros((3, BINS)))

    def add(self, confidence: np.ndarray, error: np.ndarray) -> None:
        """Take one frame.

        Args:
            confidence: ``(N,)`` in [0, 1].
            error: ``(N,)`` predicted minus true depth, metres.
        """
        share = error_share_of_least_confident(confidence, error)
        if share is None:
            return
        self.shares.append(share)
        step = -(-len(error) // SAMPLE)
        self.curves.append(sparsification(confidence[::step], error[::step]))
        place = np.minimum((confidence * BINS).astype(int), BINS - 1)
        for row, weights in enumerate((None, np.abs(error) < TOLERANCE, confidence)):
            self.bins[row] += np.bincount(place, weights, minlength=BINS)


def confidence_report(drives: Iterable[ConfidenceErrors]) -> dict[str, Any]:
    """Means over the frames of all drives, as the JSON file has them.

    Returns:
        ``least_20_percent_error_share``; ``ause``: mean distance of both curves as a share of the
        error of all points (0 = the confidence knows the error); ``curve``: ``left_out``,
        ``rmse``, ``rmse_best`` of ``sparsification``, ``calibration`` (a row for every bin that
        has pixels: mean confidence, share that is right within ``TOLERANCE`` metres, pixels) and
        ``calibration_error`` (mean absolute difference of both, weighted by pixels). All None
        without a frame.
    """
    drives = [drive for drive in drives if drive.shares]
    if not drives:
        return {"least_20_percent_error_share": None, "ause": None, "curve": None}
    remaining, best = np.mean([curve for drive in drives for curve in drive.curves], axis=0)
    bins = np.sum([drive.bins for drive in drives], axis=0)
    pixels, right, stated = bins[:, bins[0] > 0]
    right, stated = right / pixels, stated / pixels
    return {
        "least_20_percent_error_share": float(np.mean([s for d in drives for s in d.shares])),
        "ause": float(np.mean(remaining - best) / remaining[0]),
        "curve": {
            "left_out": (np.arange(STEPS) / STEPS).tolist(),
            "rmse": remaining.tolist(),
            "rmse_best": best.tolist(),
            "calibration": [
                {"confidence": float(s), "right": float(r), "pixels": int(n)}
                for s, r, n in zip(stated, right, pixels, strict=True)
            ],
            "calibration_error": float(np.average(np.abs(stated - right), weights=pixels)),
        },
    }
