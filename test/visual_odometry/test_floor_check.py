# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A flat floor, a car ahead on it, and landmarks right and wrong."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import pose_to_matrix
from sfm_depth_ros.visual_odometry.anchor_points import AnchorPoints
from sfm_depth_ros.visual_odometry.floor_check import FloorCheck
from sfm_depth_ros.visual_odometry.landmarks import Landmarks

CAMERA = Intrinsics(200.0, 200.0, 159.5, 47.5, 320, 96)
LEVEL = pose_to_matrix((0.0, 0.0, 1.5, -0.5, 0.5, -0.5, 0.5))
HEIGHT, CAR_AHEAD = 1.5, 8.0  # metres
CAR = np.zeros((96, 320), bool)
CAR[40:85, 130:190] = True  # 1.5 m below the horizon at 8 m is 37.5 pixels: it stands on row 85


def street(height: float = HEIGHT, fall: float = 0.0) -> np.ndarray:
    """Depth of a floor that falls by ``fall`` ahead, of walls at 60 m, and of the car."""
    down = (np.arange(96) - CAMERA.cy) / CAMERA.fy
    with np.errstate(divide="ignore"):
        floor = height / np.maximum(down - fall, 0.0)
    depth = np.repeat(np.minimum(floor, 60.0)[:, None], 320, axis=1)
    return np.where(CAR, CAR_AHEAD, depth)


def points_of(true_depth: np.ndarray, network: np.ndarray, step: int = 8) -> AnchorPoints:
    """Landmarks of every eighth pixel beside the network's depth."""
    rows, columns = (grid.ravel() for grid in np.mgrid[4:96:step, 4:320:step])
    pixels = np.stack((columns, rows), axis=1).astype(np.float32)
    inverse = 1.0 / true_depth[rows, columns]
    count = np.full(len(rows), 9)
    landmarks = Landmarks(0, CAMERA, pixels, inverse, 0.03 * inverse, count, np.arange(len(rows)))
    return AnchorPoints.of(landmarks, inverse_of(network), CAMERA)


def inverse_of(depth: np.ndarray) -> np.ndarray:
    return np.float32(1) / depth.astype(np.float32)


def above(points: AnchorPoints, network: np.ndarray) -> np.ndarray:
    return FloorCheck().above(points, inverse_of(network), CAMERA, LEVEL, 0.1)


def of_car(points: AnchorPoints) -> np.ndarray:
    return CAR[points.rows.astype(int), points.columns.astype(int)]


@pytest.mark.parametrize("unit", [1.0, 30.0])
def test_what_stands_still_is_kept_in_any_unit(unit: float) -> None:
    points = points_of(street(), street() / unit)
    assert above(points, street() / unit).all()


@pytest.mark.parametrize("unit", [1.0, 30.0])
def test_a_car_that_keeps_its_distance_is_left_out_below_the_floor(unit: float) -> None:
    """It is triangulated three times as far away: 24 m, 22.6 m at two deviations less."""
    seeming = np.where(CAR, 3 * CAR_AHEAD, street())
    points = points_of(seeming, street() / unit)
    kept = above(points, street() / unit)
    nearest = 3 * CAR_AHEAD * np.exp(-2 * 0.03)
    lowest = CAMERA.cy + CAMERA.fy * (1.2 * HEIGHT / nearest + 0.05)  # row 73.4
    below = of_car(points) & (points.rows > lowest)
    assert below.sum() >= 7
    assert not kept[below].any()
    assert kept[~below].all()


def test_a_pit_that_the_network_sees_too_is_no_car() -> None:
    pit = street()
    pit[60:80, 20:60] = street(2.5 * HEIGHT)[60:80, 20:60]
    points = points_of(pit, pit)
    assert above(points, pit).all()


def test_a_road_that_falls_ahead_is_kept_though_the_network_sees_it_flat() -> None:
    points = points_of(street(fall=0.03), street())
    assert above(points, street()).all()


def test_uncertain_landmarks_are_not_judged() -> None:
    seeming = np.where(CAR, 3 * CAR_AHEAD, street())
    points = points_of(seeming, street())
    doubtful = AnchorPoints(
        points.columns, points.rows, points.output, points.output_spread, points.inverse_depth,
        np.full(len(points), 0.5), points.ids, points.cells,
    )  # fmt: skip
    assert above(doubtful, street()).all()  # 24 m / e is 8.8 m


def test_without_a_floor_all_are_kept() -> None:
    wall = np.full((96, 320), 5.0)
    seeming = np.where(CAR, 15.0, wall)
    sky = np.where(np.arange(96)[:, None] < 50, wall, np.inf)
    assert above(points_of(seeming, wall), sky).all()


def test_few_landmarks_are_kept() -> None:
    seeming = np.where(CAR, 3 * CAR_AHEAD, street())
    points = points_of(seeming, street())
    few = points.selected(np.flatnonzero(of_car(points))[-9:])
    assert above(few, street()).all()


def test_the_floor_is_forgotten_with_the_model() -> None:
    check = FloorCheck()
    seeming = np.where(CAR, 3 * CAR_AHEAD, street())
    points, inverse = points_of(seeming, street()), inverse_of(street())
    assert not check.above(points, inverse, CAMERA, LEVEL, 0.1).all()
    check.clear()
    nothing = np.zeros((96, 320), np.float32)  # infinitely far
    assert check.above(points, nothing, CAMERA, LEVEL, 0.1).all()


@pytest.mark.parametrize("unit", [1.0, 30.0])
def test_the_floors_height_is_in_the_networks_unit(unit: float) -> None:
    """Known once it has been measured three times, a second apart."""
    check, network = FloorCheck(), street() / unit
    points = points_of(street(), network)
    for seconds in range(3):
        assert check.height is None
        check.above(points, inverse_of(network), CAMERA, LEVEL, float(seconds > 0))
    assert check.height == pytest.approx(HEIGHT / unit, rel=0.03)
