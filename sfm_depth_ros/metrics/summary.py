# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robust summary of a sample: median, interquartile range, count, standard error."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

# Standard deviation of a normal sample from its interquartile range, and the standard error of
# its median against that of its mean (both for the normal distribution).
_SIGMA_PER_IQR = 1.0 / 1.349
_MEDIAN_PENALTY = math.sqrt(math.pi / 2)


@dataclass(frozen=True)
class RobustSummary:
    """What a sample says without listening to its outliers.

    Attributes:
        median: Middle of the sample.
        iqr: Third minus first quartile.
        count: Size of the sample.
    """

    median: float
    iqr: float
    count: int

    @property
    def standard_error(self) -> float:
        """Rough standard error of the median, from the interquartile range; inf for one value."""
        if self.count < 2:
            return math.inf
        return _MEDIAN_PENALTY * _SIGMA_PER_IQR * self.iqr / math.sqrt(self.count)

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
