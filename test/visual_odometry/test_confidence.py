# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Confidence, and depth images compared by warping, on exact planes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.visual_odometry.confidence import DepthConfidence
from sfm_depth_ros.visual_odometry.temporal import log_depth_change, relative_difference

CAMERA = Intrinsics(200.0, 200.0, 159.5, 47.5, 320, 96)
WALL = np.full((96, 320), 10.0, np.float32)
SMALL_VARIANCE = np.full((48, 160), 0.01**2, np.float32)  # at every second pixel


def ahead(metres: float) -> np.ndarray:
    T = np.eye(4)
    T[2, 3] = metres
    return T


def test_probability_of_a_laplacian_error_within_the_tolerance() -> None:
    """10 m with 10 % standard deviation: P(|error| < 1 m) = 1 - exp(-sqrt 2)."""
    variance = np.full((48, 160), 0.01, np.float32)
    confidence = DepthConfidence(1.0).assess(WALL, variance, CAMERA, None)
    np.testing.assert_allclose(confidence, 1 - math.exp(-math.sqrt(2)), rtol=1e-3)
    assert confidence.dtype == np.float32


def test_depth_that_landmarks_do_not_hold_is_less_certain() -> None:
    held = DepthConfidence().assess(WALL, SMALL_VARIANCE, CAMERA, None)
    alone = DepthConfidence().assess(WALL, None, CAMERA, None)
    assert alone.max() < 0.5 < held.min()


def test_nothing_known_has_no_confidence() -> None:
    depth = WALL.copy()
    depth[:, :50], depth[:, 50:90] = np.nan, np.inf
    confidence = DepthConfidence().assess(depth, SMALL_VARIANCE, CAMERA, None)
    assert (confidence[:, :90] == 0).all()
    assert np.isfinite(confidence).all() and (confidence[:, 100:] > 0.9).all()


def test_a_wall_that_comes_nearer_as_the_camera_moved_is_confirmed() -> None:
    assess = DepthConfidence().assess
    first = assess(WALL, SMALL_VARIANCE, CAMERA, None)
    second = assess(WALL - 1, SMALL_VARIANCE, CAMERA, ahead(1.0))
    assert (second[10:-10, 10:-10] >= first[10:-10, 10:-10]).all()


def test_a_part_that_jumps_loses_confidence_there() -> None:
    confidence = DepthConfidence()
    confidence.assess(WALL, SMALL_VARIANCE, CAMERA, None)
    later = WALL.copy()
    later[30:60, 100:160] *= 1.3
    assessed = confidence.assess(later, SMALL_VARIANCE, CAMERA, np.eye(4))
    assert assessed[35:55, 110:150].max() < 0.5 < assessed[:, 200:].min()


def test_edges_are_less_certain_than_what_they_divide() -> None:
    depth = WALL.copy()
    depth[:, 160:] = 5.0
    assessed = DepthConfidence().assess(depth, SMALL_VARIANCE, CAMERA, None)
    assert assessed[:, 160].max() < 0.9 * assessed[:, 170].min()


def test_warped_wall_has_no_change() -> None:
    change = log_depth_change(WALL - 1, WALL, CAMERA, ahead(1.0))
    np.testing.assert_allclose(change, 0.0, atol=1e-6)  # moving ahead, all was in view before
    assert relative_difference(change) == pytest.approx(0.0, abs=1e-6)


def test_change_has_the_earlier_depths_sign_and_size() -> None:
    change = log_depth_change(WALL, 1.1 * WALL, CAMERA, np.eye(4))
    np.testing.assert_allclose(change, math.log(1.1), rtol=1e-5)
    assert relative_difference(change) == pytest.approx(0.1, rel=1e-4)


def test_pixels_that_were_outside_or_unknown_are_not_compared() -> None:
    sideways = np.eye(4)
    sideways[0, 3] = 1.0  # 20 pixels at 10 m: the right edge comes into view
    change = log_depth_change(WALL, WALL, CAMERA, sideways)
    assert np.isnan(change[:, 300:]).all() and np.isfinite(change[:, :299]).all()
    unknown = WALL.copy()
    unknown[:10] = np.nan
    unknown[10:20] = np.inf
    assert np.isnan(log_depth_change(unknown, WALL, CAMERA, np.eye(4))[:20]).all()
    assert np.isnan(log_depth_change(WALL, unknown, CAMERA, np.eye(4))[:20]).all()


def test_what_was_hidden_and_what_moves_are_left_out() -> None:
    earlier = WALL.copy()
    earlier[:, :160] = 3.0  # something nearer stood there
    change = log_depth_change(WALL, earlier, CAMERA, np.eye(4))
    assert relative_difference(change) == pytest.approx(0.0, abs=1e-6)
    farther = WALL.copy()
    farther[:, :200] *= 1.2
    static = np.ones_like(WALL, bool)
    static[:, :200] = False
    change = log_depth_change(WALL, farther, CAMERA, np.eye(4))
    assert relative_difference(change, static) == pytest.approx(0.0, abs=1e-6)
    assert relative_difference(change, ~np.ones_like(static)) is None


def test_tolerance_must_be_positive() -> None:
    with pytest.raises(ValueError, match="tolerance"):
        DepthConfidence(0.0)
