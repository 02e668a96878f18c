# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Worth of a confidence on errors whose order is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sfm_depth_ros.evaluation.confidence_errors import (
    confidence_report,
    error_share_of_least_confident,
    sparsification,
)


def test_error_share_of_the_least_confident_fifth() -> None:
    """Ten points, errors 1 but for two of 3: 18 of 26 if they are the least confident."""
    error = np.array((3.0, 3.0, *np.ones(8)))
    falling, rising = -error, error
    assert error_share_of_least_confident(falling, error) == pytest.approx(18 / 26)
    assert error_share_of_least_confident(rising, error) == pytest.approx(2 / 26)
    assert error_share_of_least_confident(np.zeros(0), np.zeros(0)) is None


def test_sparsification_reaches_the_oracle_with_perfect_confidence() -> None:
    error = np.linspace(1, 10, 100)
    remaining, oracle = sparsification(-error, error, steps=10)
    np.testing.assert_allclose(remaining, oracle)
    assert confidence_report([], [np.stack((remaining, oracle))])["ause"] == 0.0
    assert remaining[0] == pytest.approx(math.sqrt(np.mean(error**2)))
    assert remaining[5] == pytest.approx(math.sqrt(np.mean(error[:50] ** 2)))


def test_report_of_a_confidence_that_is_the_wrong_way_round() -> None:
    """Two points of error 1 and 7: 5 m together; by confidence 7 is left, at best 1."""
    curve = sparsification(np.array((0.1, 0.9)), np.array((1.0, 7.0)), steps=2)
    report = confidence_report([0.02, 0.04], [curve, curve])
    assert report["least_20_percent_error_share"] == pytest.approx(0.03)
    curves = report["sparsification"]
    assert curves["left_out"] == [0.0, 0.5]
    assert curves["rmse"] == pytest.approx([5.0, 7.0])
    assert curves["rmse_best"] == pytest.approx([5.0, 1.0])
    assert report["ause"] == pytest.approx((7.0 - 1.0) / 2 / 5.0)


def test_report_without_a_confidence_is_null() -> None:
    report = confidence_report([], [])
    assert set(report.values()) == {None}
