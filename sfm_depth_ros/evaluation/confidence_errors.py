# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Worth of a confidence: where the error is, and the error that remains without the doubtful."""

from __future__ import annotations

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


def sparsification(
    confidence: np.ndarray, error: np.ndarray, steps: int = 20
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Root mean square error of what remains as the least confident points are left out.

    As Ilg et al., ECCV 2018; the area between both curves is AUSE.

    Returns:
        ``(steps,)`` shares left out, ``(steps,)`` remaining error by confidence, and ``(steps,)``
        the same by the true error, which is the best possible.
    """
    square = np.asarray(error, np.float64) ** 2
    left_out = np.arange(steps) / steps
    first = np.floor(left_out * len(square)).astype(int)

    def remaining(order: np.ndarray) -> np.ndarray:
        sums = np.cumsum(square[order][::-1])[::-1]  # of all points from each one on
        return np.sqrt(sums[first] / (len(square) - first))

    by_confidence = remaining(np.argsort(confidence, kind="stable"))
    return left_out, by_confidence, remaining(np.argsort(-square, kind="stable"))
