# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Worth of a confidence on errors whose order is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sfm_depth_ros.evaluation.confidence_errors import (
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
    shares, remaining, oracle = sparsification(-error, error, steps=10)
    np.testing.assert_allclose(remaining, oracle)
    np.testing.assert_allclose(shares, np.arange(10) / 10)
    assert remaining[0] == pytest.approx(math.sqrt(np.mean(error**2)))
    assert remaining[5] == pytest.approx(math.sqrt(np.mean(error[:50] ** 2)))
