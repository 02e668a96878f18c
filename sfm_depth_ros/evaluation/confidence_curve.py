# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Worth of the confidence: its calibration, and the error that remains without the least sure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sfm_depth_ros.visual_odometry.confidence import TOLERANCE, sparsification

BINS = 10  # of confidence, each a tenth wide
STEPS = 10  # shares of pixels left out: 0 to 0.9
SAMPLE = 20_000  # points of a frame that are sorted at most


@dataclass
class ConfidenceCurve:
    """Collects frames; every frame counts alike in the remaining error, every pixel in a bin."""

    # Pixels by bin of confidence, and those of them whose depth is off by less than TOLERANCE
    counts: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    right: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    confidence_sums: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    # Mean square error that remains by confidence, and by the true error, each `(STEPS,)` a frame
    remaining: list[np.ndarray] = field(default_factory=list)
    best: list[np.ndarray] = field(default_factory=list)

    def add(self, confidence: np.ndarray, error: np.ndarray) -> None:
        """Take one frame.

        Args:
            confidence: ``(N,)`` in [0, 1].
            error: ``(N,)`` predicted minus true depth, metres.
        """
        if not len(error):
            return
        bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
        is_right = np.abs(error) < TOLERANCE
        self.counts += np.bincount(bins, minlength=BINS)
        self.right += np.bincount(bins, weights=is_right, minlength=BINS)
        self.confidence_sums += np.bincount(bins, weights=confidence, minlength=BINS)
        step = -(-len(error) // SAMPLE)
        _, remaining, best = sparsification(confidence[::step], error[::step], STEPS)
        self.remaining.append(remaining)
        self.best.append(best)


def joined_curve(curves: Iterable[ConfidenceCurve]) -> dict[str, Any] | None:
    """Curves of several drives as one, for the report; None without a frame.

    Returns:
        ``calibration``: a row for every bin that has pixels (mean confidence, share that is right
        within ``TOLERANCE`` metres, pixels); ``calibration_error``: mean absolute difference of
        both, weighted by pixels; ``left_out``, ``rmse``, ``rmse_best``: root mean square error of
        the depth that remains when a share of the pixels, least confident first, is left out.
    """
    curves = [curve for curve in curves if curve.remaining]
    if not curves:
        return None
    counts = np.sum([curve.counts for curve in curves], axis=0)
    used = counts > 0
    right = np.sum([curve.right for curve in curves], axis=0)[used] / counts[used]
    stated = np.sum([curve.confidence_sums for curve in curves], axis=0)[used] / counts[used]
    frames = {
        name: np.mean([row for curve in curves for row in getattr(curve, name)], axis=0).tolist()
        for name in ("remaining", "best")
    }
    return {
        "calibration": [
            {"confidence": float(s), "right": float(r), "pixels": int(n)}
            for s, r, n in zip(stated, right, counts[used], strict=True)
        ],
        "calibration_error": float(np.average(np.abs(stated - right), weights=counts[used])),
        "left_out": (np.arange(STEPS) / STEPS).tolist(),
        "rmse": frames["remaining"],
        "rmse_best": frames["best"],
    }
