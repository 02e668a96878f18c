# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Coloured points and the coloured image."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.estimation.depth_views import (
    BAR_DEPTHS,
    POINT_TYPE,
    depth_bar,
    depth_to_color,
    depth_to_points,
)
from sfm_depth_ros.geometry.camera import Intrinsics

CAMERA = Intrinsics(10.0, 20.0, 2.0, 1.0, 6, 4)


def test_layout_is_that_of_sensor_msgs_py() -> None:
    assert POINT_TYPE.itemsize == 16
    assert [POINT_TYPE.fields[name][1] for name in ("x", "y", "z", "rgb")] == [0, 4, 8, 12]


def test_points_lie_on_their_rays() -> None:
    depth = np.full((4, 6), 5.0, np.float32)
    points = depth_to_points(depth, np.zeros((4, 6, 3), np.uint8), CAMERA)
    assert len(points) == 24
    last = points[-1]  # column 5, row 3
    assert (last["x"], last["y"], last["z"]) == pytest.approx((1.5, 0.5, 5.0))


def test_unknown_depth_is_dropped_and_stride_counts_from_zero() -> None:
    depth = np.full((4, 6), 2.0, np.float32)
    depth[0, 0], depth[0, 2], depth[2, 4] = np.nan, np.inf, 0.0
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    points = depth_to_points(depth, image, CAMERA, stride=2)
    assert len(points) == 3
    bits = points["rgb"].view(np.uint32)
    red, green, blue = image[0, 4].astype(int)
    assert bits[0] == (red << 16) | (green << 8) | blue


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="image is"):
        depth_to_points(np.ones((2, 2), np.float32), np.zeros((3, 2, 3), np.uint8), CAMERA)


def test_unknown_is_black_and_known_is_not() -> None:
    depth = np.array([[np.nan, 0.0, -1.0, 1.0, 10.0, 1000.0, np.inf]], np.float32)
    color = depth_to_color(depth)
    assert color.dtype == np.uint8
    assert (color[0, :3] == 0).all()
    assert (color[0, 3:].max(axis=-1) > 50).all()


def test_near_is_warm_and_the_scale_is_fixed() -> None:
    color = depth_to_color(np.array([[2.0, 60.0]], np.float32)).astype(int)
    assert color[0, 0, 0] > color[0, 0, 2]
    assert color[0, 1, 2] > color[0, 1, 0]
    alone = depth_to_color(np.array([[60.0]], np.float32))
    np.testing.assert_array_equal(alone[0, 0], color[0, 1])


def test_words_stand_below_the_colours_of_their_depths() -> None:
    bar = depth_bar(501)
    colours = depth_to_color(np.array([BAR_DEPTHS], np.float32))[0]
    places = np.linspace(0, 500, len(BAR_DEPTHS)).astype(int)  # words are spread evenly
    np.testing.assert_array_equal(bar[places], colours)
