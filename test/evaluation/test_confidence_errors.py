# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Worth of a confidence on errors whose order is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sfm_depth_ros.evaluation.confidence_errors import (
    STEPS,
    ConfidenceErrors,
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
    assert remaining[0] == pytest.approx(math.sqrt(np.mean(error**2)))
    assert remaining[5] == pytest.approx(math.sqrt(np.mean(error[:50] ** 2)))


def test_sparsification_of_a_confidence_that_is_the_wrong_way_round() -> None:
    """Two points of error 1 and 7: 5 m together; by confidence 7 is left, at best 1."""
    remaining, oracle = sparsification(np.array((0.1, 0.9)), np.array((1.0, 7.0)), steps=2)
    assert remaining == pytest.approx([5.0, 7.0])
    assert oracle == pytest.approx([5.0, 1.0])


def test_report_of_the_best_confidence() -> None:
    errors, error = ConfidenceErrors(), np.linspace(0.0, 1.0, 1000)
    errors.add(1.0 - error, error)
    report = confidence_report([errors, ConfidenceErrors()])
    curve = report["curve"]
    assert report["ause"] == pytest.approx(0.0)
    assert curve["left_out"] == pytest.approx(np.arange(STEPS) / STEPS)
    assert curve["rmse"] == pytest.approx(curve["rmse_best"])
    assert curve["rmse"][STEPS // 2] == pytest.approx(0.5 / math.sqrt(3), rel=0.01)  # of 0 to 0.5
    assert report["least_20_percent_error_share"] == pytest.approx(1 - 0.8**3, rel=0.01)


def test_report_of_the_worst_confidence_has_a_positive_ause() -> None:
    """Errors 1 and 7: half is left out at best (1 m) or wrongly (7 m), of 5 m altogether."""
    errors = ConfidenceErrors()
    errors.add(np.array((0.1, 0.9)), np.array((1.0, 7.0)))
    assert confidence_report([errors])["ause"] == pytest.approx((7.0 - 1.0) / 2 / 5.0)


def test_a_confidence_that_is_right_lies_on_the_diagonal() -> None:
    errors = ConfidenceErrors()
    confidence = np.repeat([0.25, 0.75], 100)
    error = np.full(200, 5.0)
    error[:25], error[100:175] = 0.5, -0.5  # a quarter, and three quarters, within a metre
    errors.add(confidence, error)
    curve = confidence_report([errors])["curve"]
    assert curve["calibration"] == [
        {"confidence": pytest.approx(0.25), "right": pytest.approx(0.25), "pixels": 100},
        {"confidence": pytest.approx(0.75), "right": pytest.approx(0.75), "pixels": 100},
    ]
    assert curve["calibration_error"] == pytest.approx(0.0)


def test_overconfidence_is_measured_and_weighted_by_pixels() -> None:
    errors = ConfidenceErrors()
    errors.add(np.repeat([0.95, 0.05], [300, 100]), np.full(400, 2.0))  # nothing is right
    curve = confidence_report([errors])["curve"]
    assert curve["calibration_error"] == pytest.approx(0.75 * 0.95 + 0.25 * 0.05)


def test_report_without_a_confidence_is_null() -> None:
    errors = ConfidenceErrors()
    errors.add(np.empty(0), np.empty(0))
    assert set(confidence_report([errors]).values()) == {None}
