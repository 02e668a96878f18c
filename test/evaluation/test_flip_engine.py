# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flip post-processing against the definition, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.evaluation.flip_engine import blend_flipped


def _weight_of_the_mirrored(share: float) -> float:
    """1 up to 5 % from the left border, 0 from 95 %; half in the middle; linear over 5 %."""
    if share <= 0.05:
        return 1.0
    if share < 0.1:
        return 1.0 - 0.5 * (share - 0.05) / 0.05
    if share <= 0.9:
        return 0.5
    return 0.5 - 0.5 * (share - 0.9) / 0.05 if share < 0.95 else 0.0


def test_borders_come_from_one_prediction_and_the_middle_is_the_mean_of_disparities() -> None:
    rng = np.random.default_rng(1)
    width = 81
    depth, mirrored = rng.uniform(1, 50, (2, 3, width))
    blended = blend_flipped(depth, mirrored)
    for column in range(width):
        weight = _weight_of_the_mirrored(column / (width - 1))
        expected = 1 / (weight / mirrored[:, column] + (1 - weight) / depth[:, column])
        np.testing.assert_allclose(blended[:, column], expected, rtol=1e-12)
    np.testing.assert_allclose(blended[:, 0], mirrored[:, 0], rtol=1e-12)
    np.testing.assert_allclose(blended[:, -1], depth[:, -1], rtol=1e-12)


def test_equal_predictions_stay_and_the_type_too() -> None:
    depth = np.random.default_rng(2).uniform(1, 50, (1, 1, 4, 32)).astype(np.float32)
    blended = blend_flipped(depth, depth)
    assert blended.dtype == np.float32
    assert blended == pytest.approx(depth, rel=1e-6)
