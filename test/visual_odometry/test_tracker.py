# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest

from sfm_depth_ros.visual_odometry.tracker import PointTracker, TrackerOptions

NONE = np.zeros((0, 2), np.float32)


@pytest.fixture
def textured() -> np.ndarray:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (40, 80), np.uint8)
    return cv2.resize(small, (320, 160), interpolation=cv2.INTER_CUBIC)


def _corners(image: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    return PointTracker().new_corners(image, NONE, valid, everywhere=True)


def test_corners_are_one_a_cell_and_spread(textured: np.ndarray) -> None:
    corners = _corners(textured)
    cell = max(8, round(np.sqrt(textured.size / TrackerOptions().corners)))
    cells = {tuple(place) for place in (corners // cell).astype(int)}
    assert len(cells) == len(corners)
    assert len(corners) > 0.5 * TrackerOptions().corners
    assert corners.dtype == np.float32


def test_taken_cells_get_no_second_corner(textured: np.ndarray) -> None:
    tracker = PointTracker()
    first = tracker.new_corners(textured, NONE, None, everywhere=True)
    assert not len(tracker.new_corners(textured, first, None, everywhere=True))


def test_strips_cover_the_image_in_turn(textured: np.ndarray) -> None:
    tracker = PointTracker()
    everywhere = tracker.new_corners(textured, NONE, None, everywhere=True)
    parts = [
        tracker.new_corners(textured, NONE, None, everywhere=False)
        for _ in range(TrackerOptions().strips)
    ]
    found = {tuple(corner) for part in parts for corner in part}
    assert len(found & {tuple(corner) for corner in everywhere}) > 0.95 * len(everywhere)


def test_a_blank_or_barely_noisy_image_has_no_corner() -> None:
    rng = np.random.default_rng(0)
    noisy = (128 + rng.normal(0, 1.0, (160, 320))).astype(np.uint8)
    assert not len(_corners(np.full((160, 320), 90, np.uint8)))
    assert not len(_corners(noisy))


def test_no_corner_lies_where_the_image_has_no_source(textured: np.ndarray) -> None:
    valid = np.ones(textured.shape, bool)
    valid[:, :160] = False
    corners = _corners(textured, valid)
    assert len(corners)
    assert corners[:, 0].min() > 160


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.4, -2.2)])
def test_a_shift_is_followed_to_a_tenth_of_a_pixel(
    textured: np.ndarray, shift: tuple[float, float]
) -> None:
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    later = cv2.warpAffine(textured, matrix, (320, 160), flags=cv2.INTER_CUBIC)
    corners = _corners(textured)
    found, good = PointTracker().follow(textured, later, corners, None)
    inside = ((corners > 20) & (corners < [300, 140])).all(1)
    assert good[inside].mean() > 0.9
    error = found[good & inside] - corners[good & inside] - np.array(shift)
    assert np.median(np.abs(error)) < 0.1


def test_a_cut_loses_most_tracks(textured: np.ndarray) -> None:
    other = np.ascontiguousarray(textured[::-1, ::-1])
    _, good = PointTracker().follow(textured, other, _corners(textured), None)
    assert good.mean() < 0.5


def test_no_points_are_no_error(textured: np.ndarray) -> None:
    found, good = PointTracker().follow(textured, textured, NONE, None)
    assert found.shape == (0, 2) and good.shape == (0,)


def test_a_prediction_that_misses_is_searched_anew(textured: np.ndarray) -> None:
    """Moved by (3, 2) pixels, predicted 60 pixels off."""
    corners = _corners(textured)
    moved = np.roll(textured, (2, 3), (0, 1))
    guess = (corners + np.array([60, 0])).astype(np.float32)
    found, good = PointTracker().follow(textured, moved, corners, guess)
    assert good.mean() > 0.8
    np.testing.assert_allclose(np.median(found[good] - corners[good], axis=0), [3, 2], atol=0.02)


def test_predictions_that_were_near_and_miss_at_once_are_made_up_for(
    textured: np.ndarray,
) -> None:
    """After exact predictions the full image alone is searched; one 6 pixels off needs more."""
    tracker, corners = PointTracker(), _corners(textured)
    tracker.follow(textured, textured, corners, corners)
    moved = np.roll(textured, (2, 6), (0, 1))
    found, good = tracker.follow(textured, moved, corners, corners)
    inside = ((corners > 20) & (corners < [300, 140])).all(1)
    assert good[inside].mean() > 0.8
    np.testing.assert_allclose(np.median(found[good] - corners[good], axis=0), [6, 2], atol=0.02)
