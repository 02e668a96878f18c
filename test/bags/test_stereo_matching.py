# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stereo on pairs whose disparity is known, and as a teacher of rendered snippets."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from sfm_depth_ros.bags.stereo_matching import StereoMatcher, teach_by_stereo
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.values import Snippet

WIDTH, HEIGHT = 256, 96
FOCAL, BASELINE = 200.0, 0.4


def _texture(width: int) -> np.ndarray:
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 256, (HEIGHT, width, 3)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.0)


def _pair(depth_of_row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left and right images of walls, one depth a row: the right one is sampled at x + d."""
    left = _texture(WIDTH)
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    x = (columns + (FOCAL * BASELINE / depth_of_row)[:, None]).astype(np.float32)
    right = cv2.remap(
        left, x, rows.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return left, right


@pytest.mark.parametrize("metres", [4.0, 7.3, 16.0])
def test_depth_is_baseline_times_focal_length_over_disparity(metres: float) -> None:
    depth = StereoMatcher().depth(*_pair(np.full(HEIGHT, metres)), FOCAL, BASELINE)
    disparity = FOCAL * BASELINE / metres
    inner = depth[:, int(disparity) + 4 :]
    assert np.isfinite(inner).mean() > 0.9
    known = inner[np.isfinite(inner)]
    assert np.median(known) == pytest.approx(metres, rel=0.06 / disparity)
    assert np.mean(np.abs(known / metres - 1) < 0.5 / disparity) > 0.99


def test_what_the_right_camera_does_not_see_is_unknown() -> None:
    """A near wall in the middle hides a strip of the far one on its left side."""
    far, near = 4, 20
    left, right = _texture(WIDTH), _texture(WIDTH)
    background = _texture(WIDTH + far)
    left, right = background[:, :WIDTH].copy(), background[:, far:].copy()
    board = np.ascontiguousarray(_texture(64)[::-1])
    left[:, 100:164], right[:, 100 - near : 164 - near] = board, board
    disparity = StereoMatcher().disparity(left, right, 32)
    strip = disparity[10:-10, 88:98]  # x - 4 lies behind the board in the right image
    assert np.isnan(strip).mean() > 0.8
    assert np.nanmedian(disparity[:, 110:154]) == pytest.approx(near, abs=0.1)
    assert np.nanmedian(disparity[:, 180:250]) == pytest.approx(far, abs=0.1)


def test_plain_walls_have_no_depth() -> None:
    grey = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    assert not np.isfinite(StereoMatcher().depth(grey, grey, FOCAL, BASELINE)).any()


def test_bad_pairs_are_refused() -> None:
    left, right = _pair(np.full(HEIGHT, 8.0))
    with pytest.raises(DataError, match="two images of one size and a baseline above 0"):
        StereoMatcher().depth(left, right[:, 1:], FOCAL, BASELINE)
    with pytest.raises(DataError, match=r"P\[3\] is minus focal length times baseline"):
        StereoMatcher().depth(left, right, FOCAL, 0.0)


def _snippet(**changes: object) -> Snippet:
    left, right = _pair(np.full(HEIGHT, 8.0))
    T = np.eye(4, dtype=np.float32)
    T[0, 3] = -BASELINE
    snippet = Snippet(
        left, np.stack([left, left]),
        Intrinsics(FOCAL, FOCAL, (WIDTH - 1) / 2, (HEIGHT - 1) / 2, WIDTH, HEIGHT),
        np.ones(2, np.float32), np.arange(3), right=right, T_right_target=T,
    )  # fmt: skip
    return dataclasses.replace(snippet, **changes)


def test_a_snippet_is_taught_by_its_pair() -> None:
    taught = teach_by_stereo(_snippet()).sparse_depth
    assert taught is not None
    assert taught.dtype == np.float32
    assert (taught > 0).mean() > 0.85
    assert np.median(taught[taught > 0]) == pytest.approx(8.0, rel=0.01)
    valid = np.zeros((HEIGHT, WIDTH), bool)
    valid[:, 100:] = True
    measured = np.full((HEIGHT, WIDTH), 3.0, np.float32)
    both = teach_by_stereo(_snippet(valid=valid, sparse_depth=measured)).sparse_depth
    assert (both[:, :100] == 3.0).all()
    assert np.median(both[:, 100:]) == pytest.approx(8.0, rel=0.01)


def test_without_a_pair_there_is_no_teacher() -> None:
    snippet = _snippet(right=None, T_right_target=None)
    assert teach_by_stereo(snippet) is snippet


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [((0, 3), 0.3, "to the left: swap"), ((0, 3), 0.0, "swap"),
     ((1, 3), 0.05, "rectify the pair"), ((0, 2), 0.02, "rectify the pair")],
)  # fmt: skip
def test_pairs_that_are_no_rectified_pair_are_refused(place, value, words) -> None:
    T = np.eye(4, dtype=np.float32)
    T[0, 3] = -BASELINE
    T[place] = value
    with pytest.raises(DataError, match=words):
        teach_by_stereo(_snippet(T_right_target=T))
