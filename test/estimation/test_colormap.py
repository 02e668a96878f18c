# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The coloured picture: unknown is black, known never is, order is kept."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.estimation.colormap import depth_to_color


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
