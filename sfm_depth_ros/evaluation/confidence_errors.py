# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Worth of a confidence: where the error is, and the error that remains without the doubtful."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def error_share_of_least_confident(
    confidence: np.ndarray, error: np.ndarray, share: float = 0.2
) -> float | None:
    """Share of the squared error that the least confident points carry.

    Args:
        confidence: ``(N,)``.
        error: ``(N,)`` predicted minus true depth, metres.
        share: Share of the points that counts as least confident.

    Returns:
        In [0, 1]; ``share`` itself where confidence is worth nothing, None without any error.
    """
    square = np.asarray(error, np.float64) ** 2
    if not len(square) or square.sum() == 0:
        return None
    count = round(share * len(square))
    least = np.argsort(confidence, kind="stable")[:count]
    return float(square[least].sum() / square.sum())


STEPS = 20


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


def confidence_report(shares: Sequence[float], curves: Sequence[np.ndarray]) -> dict[str, Any]:
    """Means over frames, as the JSON file has them.

    Args:
        shares: Of ``error_share_of_least_confident``.
        curves: Of ``sparsification``.

    Returns:
        ``ause`` is the mean distance of both curves as a share of the error of all points: 0 =
        the confidence knows the error.
    """
    report: dict[str, Any] = {
        "least_20_percent_error_share": float(np.mean(shares)) if shares else None,
        "ause": None,
        "sparsification": None,
    }
    if curves:
        remaining, best = np.mean(curves, axis=0)
        report["ause"] = float(np.mean(remaining - best) / remaining[0])
        report["sparsification"] = {
            "left_out": [step / len(best) for step in range(len(best))],
            "rmse": remaining.tolist(),
            "rmse_best": best.tolist(),
        }
    return report
