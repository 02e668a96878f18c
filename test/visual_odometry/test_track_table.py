# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from visual_odometry.exact_points import make_views

from sfm_depth_ros.visual_odometry.track_table import TrackTable


def _table() -> TrackTable:
    views = make_views(3)
    table = TrackTable.empty().with_corners(7, np.zeros((120, 2), np.float32), views.rays[:, 0])
    known = table.updated(views.inverse_depth[:, 0], 1e-6 * np.ones(120), np.zeros(120, np.int64))
    return known.with_old_view(views.inverse_depth[:, 0], 1e4 * np.ones(120))


def test_moved_tracks_have_the_inverse_depth_of_the_next_view() -> None:
    views = make_views(3)
    table = _table().moved(views.motion(1), np.zeros((120, 2), np.float32), views.rays[:, 1])
    np.testing.assert_allclose(table.inverse_depth, views.inverse_depth[:, 1], rtol=1e-9)
    np.testing.assert_allclose(table.old_inverse_depth, views.inverse_depth[:, 1], rtol=1e-9)
    assert (table.age == 2).all()
    assert table.rays.shape == (120, 2, 2)
    np.testing.assert_array_equal(table.ids, np.arange(7, 127))


def test_variance_follows_the_derivative() -> None:
    """Compared with a finite difference of the moved inverse depth."""
    views, step = make_views(3), 1e-6
    pixels = np.zeros((120, 2), np.float32)
    table = _table()
    shifted = table.updated(table.inverse_depth + step, table.variance, table.strikes)
    moved = table.moved(views.motion(1), pixels, views.rays[:, 1])
    other = shifted.moved(views.motion(1), pixels, views.rays[:, 1])
    slope = (other.inverse_depth - moved.inverse_depth) / step
    np.testing.assert_allclose(moved.variance, table.variance * slope**2, rtol=1e-3)


def test_rescaling_is_a_change_of_the_unit() -> None:
    table = _table()
    twice = table.rescaled(2.0)
    np.testing.assert_allclose(twice.inverse_depth, table.inverse_depth / 2)
    np.testing.assert_allclose(np.sqrt(twice.variance), np.sqrt(table.variance) / 2)
    mean, variance = table.fused_inverse_depth()
    mean_twice, variance_twice = twice.fused_inverse_depth()
    np.testing.assert_allclose(mean_twice, mean / 2)
    np.testing.assert_allclose(variance_twice, variance / 4)


def test_two_equal_views_halve_the_variance() -> None:
    table = TrackTable.empty().with_corners(0, np.zeros((1, 2), np.float32), np.zeros((1, 2)))
    table = table.updated(np.array([0.2]), np.array([0.01]), np.zeros(1, np.int64))
    mean, variance = table.with_old_view(np.array([0.4]), np.array([100.0])).fused_inverse_depth()
    assert mean[0] == pytest.approx(0.3)
    assert variance[0] == pytest.approx(0.005)
