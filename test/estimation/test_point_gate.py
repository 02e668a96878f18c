# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gated clouds: heights by the mounting, the near band, one point a voxel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.estimation.depth_views import POINT_TYPE
from sfm_depth_ros.estimation.point_gate import PointGate, heights_of, thinned
from sfm_depth_ros.geometry.frames import pose_to_matrix

LEVEL = pose_to_matrix([0.2, 0.0, 1.1, -0.5, 0.5, -0.5, 0.5])  # looks ahead, 1.1 m up


def _points(*places: tuple[float, float, float]) -> np.ndarray:
    points = np.zeros(len(places), POINT_TYPE)
    for axis, column in zip("xyz", np.transpose(places), strict=True):
        points[axis] = column
    return points


def test_heights_are_above_the_base_whatever_the_tilt() -> None:
    points = _points((0.0, 1.1, 5.0), (3.0, -0.9, 7.0))  # on the floor; two metres up
    np.testing.assert_allclose(heights_of(points, LEVEL), [0.0, 2.0], atol=1e-6)
    half = np.sin(np.radians(15.0)), np.cos(np.radians(15.0))
    down = pose_to_matrix([0.0, 0.0, 1.0, 0.0, half[0], 0.0, half[1]])  # pitched by 30 degrees
    tilted = down @ pose_to_matrix([0.0, 0.0, 0.0, -0.5, 0.5, -0.5, 0.5])
    ahead = _points((0.0, 0.0, 2.0))  # its axis meets the floor 2 m away
    np.testing.assert_allclose(heights_of(ahead, tilted), [0.0], atol=1e-6)


def test_floor_ceiling_and_what_is_far_are_left_out() -> None:
    gate = PointGate(min_height=0.2, max_height=1.8, max_depth=6.0)
    floor, ceiling, far = (0.0, 1.0, 3.0), (0.0, -1.2, 3.0), (0.0, 0.0, 6.1)
    low, high, edge = (0.0, 0.9, 3.0), (0.0, -0.7, 3.0), (1.0, 0.0, 6.0)
    kept = gate.apply(_points(floor, low, far, ceiling, high, edge), LEVEL)
    assert kept is not None
    assert kept.tolist() == _points(low, high, edge).tolist()


def test_without_a_gate_everything_stays_and_no_mounting_is_needed() -> None:
    points = _points((0.0, 1.0, 3.0), (0.0, -40.0, 90.0))
    gate = PointGate.of(DepthNodeConfig())
    assert not gate.needs_mounting
    kept = gate.apply(points, None)
    assert kept is not None
    assert kept.tolist() == points.tolist()


def test_a_height_without_the_mounting_gives_no_cloud() -> None:
    points = _points((0.0, 1.0, 3.0))
    assert PointGate(min_height=0.2).apply(points, None) is None
    assert PointGate(max_height=2.0).apply(points, None) is None
    assert PointGate(max_depth=5.0, voxel_size=0.1).apply(points, None) is not None


def test_the_nearest_point_of_a_voxel_stays() -> None:
    points = _points((0.01, 0.0, 1.04), (0.02, 0.0, 1.01), (0.02, 0.0, 1.06), (-0.01, 0.0, 1.02))
    kept = thinned(points, 0.05)
    assert sorted(kept["z"].tolist()) == pytest.approx([1.01, 1.02, 1.06])


@given(
    st.lists(st.tuples(*[st.floats(-300.0, 300.0, width=32)] * 3), min_size=1, max_size=60),
    st.floats(0.02, 5.0),
)
def test_thinning_keeps_one_point_of_every_voxel(
    places: list[tuple[float, float, float]], size: float
) -> None:
    points = _points(*places)
    kept = thinned(points, size)

    def voxels(some: np.ndarray) -> list[tuple[float, ...]]:
        return [tuple(np.floor(row[a] / np.float32(size)) for a in "xyz") for row in some]

    assert len(voxels(kept)) == len(set(voxels(kept)))
    assert set(voxels(kept)) == set(voxels(points))
    assert set(kept.tolist()) <= set(points.tolist())


def test_no_points_make_an_empty_cloud() -> None:
    gate = PointGate(0.2, 1.8, 6.0, 0.05)
    kept = gate.apply(np.empty(0, POINT_TYPE), LEVEL)
    assert kept is not None
    assert len(kept) == 0


def test_limits_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ConfigError, match="points_min_height < points_max_height"):
        DepthNodeConfig(points_min_height=1.0, points_max_height=0.5)
