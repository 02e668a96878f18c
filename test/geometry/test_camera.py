# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Intrinsics follow the image through resizing, cropping and mirroring."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics


@pytest.fixture
def camera() -> Intrinsics:
    return Intrinsics(fx=500.0, fy=480.0, cx=320.5, cy=239.5, width=640, height=480)


def _pixel(camera: Intrinsics, point: np.ndarray) -> np.ndarray:
    projected = camera.matrix @ point
    return projected[:2] / projected[2]


def test_matrix(camera: Intrinsics) -> None:
    expected = [[500.0, 0.0, 320.5], [0.0, 480.0, 239.5], [0.0, 0.0, 1.0]]
    np.testing.assert_array_equal(camera.matrix, expected)


def test_field_of_view_spans_the_image() -> None:
    camera = Intrinsics.from_hfov(90.0, 640, 480)
    assert camera.fx == pytest.approx(320.0)
    assert (camera.cx, camera.cy) == (319.5, 239.5)


def test_resizing_keeps_corners_on_corners(camera: Intrinsics) -> None:
    half = camera.resized(320, 120)
    assert (half.fx, half.fy) == (250.0, 120.0)
    point = np.array([0.3, -0.2, 2.0])
    u, v = _pixel(camera, point)
    # The image spans [-0.5, size - 0.5] before and after.
    expected = [(u + 0.5) / 2 - 0.5, (v + 0.5) / 4 - 0.5]
    np.testing.assert_allclose(_pixel(half, point), expected, atol=1e-12)


def test_resizing_back_is_the_identity(camera: Intrinsics) -> None:
    again = camera.resized(160, 96).resized(640, 480)
    np.testing.assert_allclose(again.matrix, camera.matrix, atol=1e-12)


def test_cropping_moves_pixels_by_the_offset(camera: Intrinsics) -> None:
    cropped = camera.cropped(left=16, top=-8, width=600, height=496)
    point = np.array([0.1, 0.4, 3.0])
    np.testing.assert_allclose(_pixel(cropped, point), _pixel(camera, point) - [16, -8])
    assert (cropped.width, cropped.height) == (600, 496)


def test_flipping_mirrors_pixels(camera: Intrinsics) -> None:
    point = np.array([0.1, 0.4, 3.0])
    u, v = _pixel(camera, point)
    mirrored = _pixel(camera.flipped(), point * [-1, 1, 1])
    np.testing.assert_allclose(mirrored, [camera.width - 1 - u, v])
    assert camera.flipped().flipped() == camera


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fx": 0.0}, "focal length"),
        ({"fy": -3.0}, "focal length"),
        ({"fx": float("nan")}, "focal length"),
        ({"cx": float("inf")}, "principal point"),
        ({"width": 0}, "image size"),
    ],
)
def test_impossible_cameras_are_refused(
    camera: Intrinsics, change: dict[str, float], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        dataclasses.replace(camera, **change)
