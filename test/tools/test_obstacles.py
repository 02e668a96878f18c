# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Marks, recall and false marks of scenes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.estimation.depth_views import POINT_TYPE
from sfm_depth_ros.geometry.frames import invert, pose_to_matrix
from tools.obstacles import CELL, REACH, Counts, Layer, View

CAMERA = pose_to_matrix([0.0, 0.0, 1.0, -0.5, 0.5, -0.5, 0.5])  # looks ahead, 1 m up
VIEW = View(CAMERA, 0.25)


def _marks(*places: tuple[float, float, float], layer: Layer | None = None) -> np.ndarray:
    """Cells that points at these places in the base's frame mark."""
    T = invert(CAMERA)
    optical = np.array(places) @ T[:3, :3].T + T[:3, 3]
    points = np.zeros(len(places), POINT_TYPE)
    for axis, values in zip("xyz", optical.T, strict=True):
        points[axis] = values
    return (layer or Layer()).marks(points, CAMERA)


def _wall(ahead: float) -> np.ndarray:
    return _marks(*[(ahead, side, 0.5) for side in np.arange(-1.0, 1.0, CELL / 2)])


def test_marks_lie_where_the_points_do_and_within_the_limits() -> None:
    marks = _marks(
        (2.02, 0.52, 0.5), (2.02, -0.52, 0.2), (2.02, 0.0, 2.1), (3.97, 0.0, 0.5), (0.1, 0.0, 1.0)
    )  # the floor's noise, a lamp, beyond 4 m (3-D), too near
    ahead, left = np.argwhere(marks).T
    np.testing.assert_array_equal(ahead, [int((2.02 + REACH) / CELL)])
    np.testing.assert_array_equal(left, [int((0.52 + REACH) / CELL)])


@pytest.mark.parametrize(
    ("error", "recall", "false_share", "blocking_share"),
    [(0.0, 1.0, 0.0, 0.0), (0.2, 1.0, 0.0, 0.0), (0.5, 0.0, 1.0, 0.0), (-0.5, 0.0, 1.0, 1.0)],
)
def test_a_displaced_wall(
    error: float, recall: float, false_share: float, blocking_share: float
) -> None:
    """Too far is hidden behind the true wall, too near blocks the way."""
    true, counts = _wall(2.02), Counts()
    counts.add(_wall(2.02 + error), true, true, VIEW)
    row = counts.row()
    assert row["recall"] == pytest.approx(recall)
    assert row["false_cells"] == pytest.approx(false_share * row["marked_cells"])
    expected = blocking_share * row["marked_cells"]
    # the ends of a nearer wall stand at bearings that nothing real has
    assert row["blocking_cells"] == pytest.approx(expected, abs=0.05 * row["marked_cells"])


def test_a_ghost_in_an_empty_place_blocks_and_frames_are_counted() -> None:
    nothing, ghost, counts = _marks((9.0, 0.0, 0.5)), _marks((2.0, 0.0, 0.5)), Counts()
    assert not nothing.any()
    counts.add(ghost, nothing, nothing, VIEW)
    counts.add(nothing, nothing, nothing, VIEW)
    row = counts.row()
    assert (row["frames"], row["blocking_cells"], row["frames_open"]) == (2, 0.5, 0.5)
