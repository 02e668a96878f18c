# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Undistortion maps against points computed by hand, and their borders."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.rectification import Rectification, undistort_map
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.frames import rotation_matrix

KITTI_RAW = {
    "K": [[984.24, 0, 690.0], [0, 980.81, 233.2], [0, 0, 1]],
    "D": [-0.3728755, 0.2037299, 0.002219, 0.0013837, -0.0723373],
    "R": rotation_matrix([0.01, -0.02, 0.008]),
    "P": [[721.54, 0, 609.56, 44.86], [0, 721.54, 172.85, 0.22], [0, 0, 1, 0.003]],
}
LENSES = [
    ("plumb_bob", KITTI_RAW["D"]),
    ("rational_polynomial", [0.3, 0.1, 1e-3, -2e-3, 0.02, 0.5, 0.05, 0.01]),
    ("equidistant", [-0.02, 0.01, -0.003, 0.001]),
]


FOCAL = 1000.0


def distorted(points: np.ndarray, model: str, coefficients: list[float]) -> np.ndarray:
    """Distorted rays ``(N, 2)``; the given ones are multiples of 0.001 in [0, 0.6]."""
    K = np.diag([FOCAL, FOCAL, 1.0])
    columns, rows = undistort_map(K, coefficients, model, None, None, (9999, 9999), (601, 601))
    x, y = np.rint(np.asarray(points) * FOCAL).astype(int).T
    return np.stack([columns[y, x], rows[y, x]], axis=1) / FOCAL


def _points() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 601, (200, 2)) / FOCAL


def test_plumb_bob_by_hand() -> None:
    # r^2 = 0.25; radial = 1 + 0.1/4 + 0.2/16 + 0.5/64 = 1.0453125
    x, y = distorted([[0.3, 0.4]], "plumb_bob", [0.1, 0.2, 0.01, 0.02, 0.5])[0]
    assert x == pytest.approx(0.3 * 1.0453125 + 0.01 * 2 * 0.12 + 0.02 * (0.25 + 2 * 0.09))
    assert y == pytest.approx(0.4 * 1.0453125 + 0.01 * (0.25 + 2 * 0.16) + 0.02 * 2 * 0.12)


def test_rational_polynomial_by_hand() -> None:
    d = [0.1, 0.2, 0, 0, 0.5, 0.4, 0, 0]
    x, _ = distorted([[0.3, 0.4]], "rational_polynomial", d)[0]
    assert x == pytest.approx(0.3 * 1.0453125 / 1.1)


def test_equidistant_by_hand() -> None:
    # 31 degrees off the axis, and the axis itself.
    points = distorted([[0.6, 0.0], [0.0, 0.0]], "equidistant", [0.1, 0, 0, 0])
    angle = np.arctan(0.6)
    np.testing.assert_allclose(points, [[angle * (1 + 0.1 * angle**2), 0], [0, 0]], rtol=1e-6)


@pytest.mark.parametrize("model", ["plumb_bob", "rational_polynomial"])
@pytest.mark.parametrize("coefficients", [[], [0.0] * 5])
def test_no_distortion_changes_nothing(model: str, coefficients: list[float]) -> None:
    np.testing.assert_allclose(distorted(_points(), model, coefficients), _points(), atol=1e-7)


@pytest.mark.parametrize(("model", "coefficients"), LENSES)
def test_lens_equals_opencv(model: str, coefficients: list[float]) -> None:
    points, d = _points(), np.array(coefficients)
    if model == "equidistant":
        expected = cv2.fisheye.distortPoints(points[:, None], np.eye(3), d)[:, 0]
    else:
        rays = np.column_stack([points, np.ones(len(points))])
        still = np.zeros(3)
        expected = cv2.projectPoints(rays, still, still, np.eye(3), d)[0][:, 0]
    found = distorted(points, model, coefficients)
    seen = found[:, 0] >= 0
    assert seen.mean() > 0.95  # all but those that the tangential part moves across the border
    np.testing.assert_allclose(found[seen], expected[seen], atol=1e-6)


def test_map_equals_opencv_where_there_is_a_source() -> None:
    K, D, R, P = (np.asarray(KITTI_RAW[key]) for key in "KDRP")
    columns, rows = undistort_map(K, D, "plumb_bob", R, P, (1392, 512), (1242, 375))
    x, y = cv2.initUndistortRectifyMap(K, D, R, P[:, :3], (1242, 375), cv2.CV_32FC1)
    inside = (x >= 0) & (x <= 1391) & (y >= 0) & (y <= 511)
    assert inside.mean() > 0.95
    assert (columns.shape, columns.dtype) == ((375, 1242), np.float32)
    np.testing.assert_allclose(columns[inside], x[inside], atol=1e-3)
    np.testing.assert_allclose(rows[inside], y[inside], atol=1e-3)
    outside = (x < -0.5) | (x > 1391.5) | (y < -0.5) | (y > 511.5)
    assert (columns[outside] == -1).all() and (rows[outside] == -1).all()


def test_map_without_distortion_is_the_grid() -> None:
    K = [[50.0, 0, 15.5], [0, 50.0, 11.5], [0, 0, 1]]
    columns, rows = undistort_map(K, [], "plumb_bob", None, None, (32, 24), (32, 24))
    np.testing.assert_allclose(columns, np.tile(np.arange(32.0), (24, 1)), atol=1e-5)
    np.testing.assert_allclose(rows, np.tile(np.arange(24.0)[:, None], (1, 32)), atol=1e-5)


def test_map_that_shrinks_follows_pixel_centres() -> None:
    K = [[50.0, 0, 15.5], [0, 50.0, 11.5], [0, 0, 1]]
    half = [[25.0, 0, 7.5], [0, 25.0, 5.5], [0, 0, 1]]
    columns, _ = undistort_map(K, [], "plumb_bob", None, half, (32, 24), (16, 12))
    np.testing.assert_allclose(columns[0], np.arange(16) * 2 + 0.5, atol=1e-5)


def test_pixels_without_a_source_are_marked() -> None:
    K = [[50.0, 0, 15.5], [0, 50.0, 11.5], [0, 0, 1]]
    columns, rows = undistort_map(K, [], "plumb_bob", None, K, (32, 24), (40, 24))
    assert (columns[:, :32] >= 0).all()
    assert (columns[:, 32:] == -1).all() and (rows[:, 32:] == -1).all()


def test_behind_the_camera_there_is_nothing() -> None:
    K = [[50.0, 0, 15.5], [0, 50.0, 11.5], [0, 0, 1]]
    backwards = rotation_matrix([0, np.pi, 0])
    columns, _ = undistort_map(K, [], "plumb_bob", backwards, K, (32, 24), (32, 24))
    assert (columns == -1).all()


def test_beyond_the_fold_of_the_polynomial_there_is_nothing() -> None:
    # r (1 - r^2) rises up to r = 1 / sqrt(3) and comes back into the image after it.
    K = [[100.0, 0, 50], [0, 100.0, 0], [0, 0, 1]]
    wide = [[50.0, 0, 50], [0, 50.0, 0], [0, 0, 1]]
    columns, _ = undistort_map(K, [-1.0, 0, 0, 0], "plumb_bob", None, wide, (101, 1), (101, 1))
    radius = np.abs(np.arange(101) - 50) / 50
    np.testing.assert_array_equal(columns[0] >= 0, radius < 3**-0.5)


@pytest.mark.parametrize(
    ("model", "coefficients", "words"),
    [
        ("barrel", [0.1], "unknown distortion model 'barrel'"),
        ("plumb_bob", [0.1, 0.2], "expects 0 or 4 or 5"),
        ("equidistant", [0.1] * 5, "expects 4"),
        ("plumb_bob", [float("nan")] * 5, "finite"),
        ("rational_polynomial", [0.1] * 14, r"expects.*, 0\.1\] and 6 more: calibrate"),
    ],
)
def test_unusable_lenses_are_refused(model: str, coefficients: list[float], words: str) -> None:
    with pytest.raises(DataError, match=words):
        distorted(_points(), model, coefficients)


def test_unused_tilt_coefficients_are_accepted() -> None:
    d = [0.3, 0.1, 1e-3, -2e-3, 0.02, 0.5, 0.05, 0.01]
    full = distorted(_points(), "rational_polynomial", d + [0.0] * 6)
    np.testing.assert_array_equal(full, distorted(_points(), "rational_polynomial", d))


@pytest.mark.parametrize(
    "calibration",
    [{"P": [100.0, 0, 900, 0, 0, 100, 31.5, 0, 0, 0, 1, 0]}, {"D": [100.0] * 5}],
    ids=["looks aside", "leaves the middle"],
)
def test_a_rectified_image_that_shows_nothing_is_refused(calibration: dict[str, list]) -> None:
    K = [100.0, 0, 95.5, 0, 100, 31.5, 0, 0, 1]
    camera = CameraModel.from_matrices(K, 192, 64, **calibration)
    with pytest.raises(DataError, match="shows nothing of the camera's image"):
        Rectification.sourced_area(camera)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"P": np.zeros((3, 4))}, "no focal length"), ({"R": np.ones((3, 3))}, "not a rotation")],
)
def test_unusable_calibrations_are_refused(change: dict[str, np.ndarray], words: str) -> None:
    calibration = {**KITTI_RAW, **change, "model": "plumb_bob"}
    with pytest.raises(DataError, match=words):
        undistort_map(**calibration, size_in=(1392, 512), size_out=(1242, 375))


def test_the_area_of_a_4k_image_is_found_to_a_few_pixels():
    """A lens that bends inwards at the corners, at 4K and at a quarter of its size."""
    D = [-0.3, 0.08, 0, 0, 0]
    areas = []
    for factor in (1, 4):
        K = [500.0 * factor, 0, 479.5 * factor, 0, 500 * factor, 269.5 * factor, 0, 0, 1]
        P = [650.0 * factor, 0, 479.5 * factor, 0, 0, 300 * factor, 269.5 * factor, 0, 0, 0, 1, 0]
        camera = CameraModel.from_matrices(K, 960 * factor, 540 * factor, D=D, P=P)
        areas.append(np.array(Rectification.sourced_area(camera)))
    assert tuple(areas[0]) != (0, 0, 960, 540)
    np.testing.assert_allclose(areas[1], 4 * areas[0], atol=8)
