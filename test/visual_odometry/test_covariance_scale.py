# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Factors on a covariance, learnt from an odometer whose errors are known."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.geometry.frames import invert, twist_to_transform
from sfm_depth_ros.visual_odometry.covariance_scale import CovarianceScale

AHEAD = twist_to_transform([0.0, 0.0, 0.8], [0.0, 0.01, 0.0], 1.0)
CLAIMED = np.diag([0.004**2] * 3 + [0.0004**2] * 3)


def _learnt(metres: float, radians: float, motions: int = 60) -> np.ndarray:
    """Covariance after motions of the image with normal errors of these standard deviations."""
    rng, scale = np.random.default_rng(0), CovarianceScale()
    for _ in range(motions):
        error = twist_to_transform(rng.normal(0, metres, 3), rng.normal(0, radians, 3), 1.0)
        scale.observe(AHEAD @ error, CLAIMED, AHEAD)
    return scale.scaled(CLAIMED, AHEAD)


@pytest.mark.parametrize(("metres", "radians"), [(0.002, 0.0002), (0.006, 0.0006)])
def test_covariance_becomes_that_of_the_errors(metres: float, radians: float) -> None:
    found = np.sqrt(np.diag(_learnt(metres, radians)))
    np.testing.assert_allclose(found[:2], metres, rtol=0.2)
    np.testing.assert_allclose(found[3:], radians, rtol=0.2)


def test_length_is_left_to_the_odometers_own_noise() -> None:
    along = invert(AHEAD)[:3, :3] @ AHEAD[:3, 3] / 0.8
    assert along @ _learnt(0.001, 0.0001)[:3, :3] @ along == pytest.approx(0.004**2, rel=0.01)


def test_a_poor_odometer_widens_it_to_a_bound() -> None:
    found = np.sqrt(np.diag(_learnt(0.2, 0.02)))
    np.testing.assert_allclose(found[3:], 2 * 0.0004, rtol=1e-6)
    assert found[0] == pytest.approx(2 * 0.004, rel=1e-3)


def test_a_few_motions_teach_nothing() -> None:
    np.testing.assert_array_equal(_learnt(0.0, 0.0, motions=8), CLAIMED)


def test_outliers_hardly_count() -> None:
    rng, scale = np.random.default_rng(1), CovarianceScale()
    for index in range(60):
        size = 20.0 if index % 10 == 0 else 1.0
        turn = rng.normal(0, size * 0.0004, 3)
        scale.observe(AHEAD @ twist_to_transform([0.0, 0.0, 0.0], turn, 1.0), CLAIMED, AHEAD)
    found = np.sqrt(np.diag(scale.scaled(CLAIMED, AHEAD)))
    assert 0.0004 < found[3:].max() < 2 * 0.0004
