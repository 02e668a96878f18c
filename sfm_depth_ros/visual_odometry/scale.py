# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scale monitor: both scale ratios over a window of recent image pairs, robustly."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


class ScaleMonitor:
    """Robust summary of the newest scale ratios.

    Depth's own scale and that of the published translation are two numbers and are kept apart.
    Above 1 means too large.

    Args:
        window: How many of the newest estimates of each ratio count.
    """

    def __init__(self, window: int = 200) -> None:
        if window < 2:
            raise ValueError(f"expected a window of at least 2 estimates, got {window}")
        self._depth: deque[float] = deque(maxlen=window)
        self._translation: deque[float] = deque(maxlen=window)

    def add(self, depth_ratio: float | None, translation_ratio: float | None) -> None:
        """Take the estimates of one image pair; None where the pair gave none."""
        if depth_ratio is not None:
            self._depth.append(depth_ratio)
        if translation_ratio is not None:
            self._translation.append(translation_ratio)

    @property
    def depth_scale_ratio(self) -> RobustSummary | None:
        """Depth's own scale against the odometer, or None before the first estimate."""
        return summarize(self._depth)

    @property
    def translation_scale_ratio(self) -> RobustSummary | None:
        """Published over measured translation, or None before the first estimate."""
        return summarize(self._translation)

    def clear(self) -> None:
        """Forget everything (a new model, a jump in time)."""
        self._depth.clear()
        self._translation.clear()


@dataclass(frozen=True)
class RobustSummary:
    """Median, interquartile range and size of a sample."""

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
