# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network sees the same through a distorted lens as in images that were rectified before."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.camera.preprocessing import Preprocessor
from sfm_depth_ros.camera.rectification import Rectification
from sfm_depth_ros.geometry.camera import Intrinsics

WIDTH, HEIGHT = 480, 192
K = np.array([[215.0, 0, 239.5], [0, 215.0, 95.5], [0, 0, 1]])
P = np.array([[210.0, 0, 239.5, 0], [0, 210.0, 95.5, 0], [0, 0, 1, 0]])
LENSES = {
    "plumb_bob": (-0.25, 0.07, 0.001, -0.0005, 0.0),
    "rational_polynomial": (0.4, 0.15, 0.0005, 0.0003, 0.01, 0.7, 0.25, 0.03),
    "equidistant": (-0.02, 0.005, -0.002, 0.0003),
}
# of the scene, a pinhole that sees more than every lens
SCENE = Intrinsics(235.0, 235.0, 474.5, 224.5, 950, 450)


def _scene() -> np.ndarray:
    """Details of 2 to 60 pixels, ``(450, 950, 3)`` uint8."""
    rng = np.random.default_rng(4)
    scene = np.zeros((SCENE.height, SCENE.width), np.float32)
    for size in (16, 50, 150, 450):
        noise = rng.normal(0, 22, (size // 2, size)).astype(np.float32)
        scene += cv2.resize(noise, (SCENE.width, SCENE.height), interpolation=cv2.INTER_CUBIC)
    grey = np.clip(128 + scene, 0, 255).astype(np.uint8)
    return cv2.merge([grey, grey, grey])


def _rays_of_pixels(model: str) -> np.ndarray:
    """Rays ``(H, W, 2)`` of the distorted pixels, by inversion of OpenCV's projection."""
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    pixels = np.stack([columns, rows], -1).reshape(-1, 2).astype(np.float64)
    D, none = np.array(LENSES[model]), np.zeros(3)
    if model == "equidistant":
        return cv2.fisheye.undistortPoints(pixels[:, None], K, D).reshape(HEIGHT, WIDTH, 2)
    rays = (pixels - K[:2, 2]) / K[0, 0]
    for _ in range(40):
        points = np.concatenate([rays, np.ones((len(rays), 1))], 1)
        rays -= 0.7 * (cv2.projectPoints(points, none, none, K, D)[0][:, 0] - pixels) / K[0, 0]
    return rays.reshape(HEIGHT, WIDTH, 2)


def _seen_by(rays: np.ndarray) -> np.ndarray:
    """Image of the scene whose pixels have these rays."""
    columns = (rays[..., 0] * SCENE.fx + SCENE.cx).astype(np.float32)
    rows = (rays[..., 1] * SCENE.fy + SCENE.cy).astype(np.float32)
    return cv2.remap(_scene(), columns, rows, cv2.INTER_CUBIC)


@pytest.mark.parametrize("model", LENSES)
def test_the_networks_image_is_that_of_a_rectified_camera(model: str) -> None:
    lens = CameraModel.from_matrices(K, WIDTH, HEIGHT, D=LENSES[model], model=model, P=P)
    left, top, right, bottom = Rectification.sourced_area(lens)
    columns, rows = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
    rays = np.stack([(columns - P[0, 2]) / P[0, 0], (rows - P[1, 2]) / P[1, 1]], -1)
    pinhole = Intrinsics(
        P[0, 0], P[1, 1], P[0, 2] - left, P[1, 2] - top, right - left, bottom - top
    )
    raw, rectified = (
        Preprocessor(lens, NetworkInput(160)),
        Preprocessor(CameraModel.from_intrinsics(pinhole), NetworkInput(160)),
    )
    assert raw.intrinsics == rectified.intrinsics
    image, valid = raw(_seen_by(_rays_of_pixels(model)))
    expected, _ = rectified(_seen_by(rays))
    inside = np.ones(raw.input_hw, bool) if valid is None else valid
    inside = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert inside.mean() > 0.8
    error = image[..., 0].astype(float) - expected[..., 0]
    contrast = expected[..., 0][inside].std()
    assert np.sqrt(np.mean(error[inside] ** 2)) < 0.08 * contrast
    sharpness = [np.diff(one[..., 0].astype(float), axis=1)[inside[:, 1:]].std()
                 for one in (image, expected)]  # fmt: skip
    assert sharpness[0] == pytest.approx(sharpness[1], rel=0.08)
