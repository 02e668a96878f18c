# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robust summary of a sample: median, interquartile range, count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RobustSummary:
    """What a sample says without listening to its outliers."""

    median: float  # Middle of the sample
    iqr: float  # Third minus first quartile
    count: int  # Size of the sample

    def as_dict(self) -> dict[str, float | int]:
        """The three numbers that reports hold."""
        return {"median": self.median, "iqr": self.iqr, "count": self.count}


def summarize(values: Iterable[float]) -> RobustSummary | None:
    """Summarize the finite values.

    Args:
        values: Any numbers; NaN and infinities are left out.

    Returns:
        The summary, or None where no finite value is left.
    """
    sample = np.asarray(list(values), dtype=np.float64)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return None
    first, median, third = np.quantile(sample, (0.25, 0.5, 0.75))
    return RobustSummary(float(median), float(third - first), int(sample.size))
