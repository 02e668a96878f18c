# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Curves of the confidence against errors whose curves are known."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.evaluation.confidence_curve import ConfidenceCurve, joined_curve


def test_a_confidence_that_is_right_lies_on_the_diagonal() -> None:
    curve = ConfidenceCurve()
    confidence = np.repeat([0.25, 0.75], 100)
    error = np.full(200, 5.0)
    error[:25], error[100:175] = 0.5, -0.5  # a quarter, and three quarters, within a metre
    curve.add(confidence, error)
    found = joined_curve([curve])
    assert found is not None
    assert found["calibration"] == [
        {"confidence": pytest.approx(0.25), "right": pytest.approx(0.25), "pixels": 100},
        {"confidence": pytest.approx(0.75), "right": pytest.approx(0.75), "pixels": 100},
    ]
    assert found["calibration_error"] == pytest.approx(0.0)


def test_overconfidence_is_measured_and_weighted_by_pixels() -> None:
    curve = ConfidenceCurve()
    curve.add(np.repeat([0.95, 0.05], [300, 100]), np.full(400, 2.0))  # nothing is right
    found = joined_curve([curve])
    assert found is not None
    assert found["calibration_error"] == pytest.approx(0.75 * 0.95 + 0.25 * 0.05)


def test_the_error_falls_as_the_least_confident_are_left_out() -> None:
    curve = ConfidenceCurve()
    error = np.linspace(0.0, 1.0, 1000)
    curve.add(1.0 - error, error)  # the best confidence there is
    found = joined_curve([curve, ConfidenceCurve()])
    assert found is not None
    assert found["left_out"][:3] == pytest.approx([0.0, 0.1, 0.2])
    assert found["rmse"] == pytest.approx(found["rmse_best"])
    assert found["rmse"][5] == pytest.approx(0.5 / np.sqrt(3), rel=0.01)  # of 0 to 0.5


def test_without_frames_there_is_no_curve() -> None:
    curve = ConfidenceCurve()
    curve.add(np.empty(0), np.empty(0))
    assert joined_curve([curve]) is None
