# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scale monitor: both scale ratios over a window of recent image pairs, robustly."""

from __future__ import annotations

from collections import deque

from sfm_depth_ros.visual_odometry.summary import RobustSummary, summarize


class ScaleMonitor:
    """Remembers the newest scale ratios and says what they have in common.

    Depth's own scale and the pose network's scale are two numbers and are kept apart. Above 1
    means that the prediction is too large.

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
        """The pose network's scale against the odometer, or None before the first estimate."""
        return summarize(self._translation)

    def clear(self) -> None:
        """Forget everything (a new model, a jump in time)."""
        self._depth.clear()
        self._translation.clear()
