# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scale monitor and the robust summary it reports."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sfm_depth_ros.visual_odometry.scale import ScaleMonitor, summarize


def test_both_ratios_are_kept_apart() -> None:
    monitor = ScaleMonitor(window=10)
    for depth in (0.9, 1.0, 1.1, 50.0):
        monitor.add(depth, None)
    monitor.add(None, 2.0)
    depth, translation = monitor.depth_scale_ratio, monitor.translation_scale_ratio
    assert depth is not None and translation is not None
    assert depth.median == pytest.approx(1.05)
    assert depth.count == 4
    assert translation.median == 2.0
    assert translation.count == 1 and translation.iqr == 0.0


def test_window_forgets_and_clear_forgets_all() -> None:
    monitor = ScaleMonitor(window=3)
    for ratio in (9.0, 9.0, 1.0, 1.0, 1.0):
        monitor.add(ratio, ratio)
    assert monitor.depth_scale_ratio is not None
    assert monitor.depth_scale_ratio.median == 1.0
    monitor.clear()
    assert monitor.depth_scale_ratio is None
    assert monitor.translation_scale_ratio is None


def test_window_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        ScaleMonitor(window=1)


def test_summary_of_a_normal_sample() -> None:
    sample = np.random.default_rng(0).normal(1.0, 0.1, 4000)
    summary = summarize([*sample, math.nan, math.inf])
    assert summary is not None
    assert summary.count == 4000
    assert summary.iqr == pytest.approx(0.1349, rel=0.05)
    assert summary.median == pytest.approx(1.0, abs=0.01)
    assert summary.as_dict() == {"median": summary.median, "iqr": summary.iqr, "count": 4000}
