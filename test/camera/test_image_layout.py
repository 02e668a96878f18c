# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lanczos scaling against its definition in float64 loops."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

pytest.importorskip("PIL")

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_layout import NetworkInput, lanczos
from sfm_depth_ros.camera.preprocessing import Preprocessor
from sfm_depth_ros.errors import DataError, MissingDependencyError
from sfm_depth_ros.geometry.camera import Intrinsics


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def kernel(x: float) -> float:
    """Three lobes of sinc, windowed by the middle lobe of a wider one."""
    if x == 0:
        return 1.0
    if abs(x) >= 3:
        return 0.0
    return 3 * math.sin(math.pi * x) * math.sin(math.pi * x / 3) / (math.pi * x) ** 2


def line(values: np.ndarray, count: int) -> np.ndarray:
    """Scale the first axis by the definition, rounded to bytes."""
    ratio = len(values) / count
    scaled = []
    for i in range(count):
        centre = (i + 0.5) * ratio
        weights = [kernel((j + 0.5 - centre) / max(ratio, 1.0)) for j in range(len(values))]
        scaled.append(
            sum(w * v for w, v in zip(weights, values.astype(float), strict=True)) / sum(weights)
        )
    return np.clip(np.rint(scaled), 0, 255)


@pytest.mark.parametrize(("height", "width", "size"), [
    (12, 17, (9, 5)), (9, 9, (9, 9)), (8, 20, (10, 8)),
])  # fmt: skip
def test_by_the_definition(height: int, width: int, size: tuple[int, int]) -> None:
    image = picture(height, width)
    columns = line(image.swapaxes(0, 1), size[0]).swapaxes(0, 1)
    expected = line(columns, size[1])
    found = lanczos(image, size)
    assert found.dtype == np.uint8
    assert found.shape == (size[1], size[0], 3)
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.01


def test_without_pillow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    camera = CameraModel.from_intrinsics(Intrinsics.from_hfov(80.0, 128, 96))
    Preprocessor(camera, NetworkInput(64))
    with pytest.raises(MissingDependencyError, match="pip install pillow"):
        Preprocessor(camera, NetworkInput(64, resize_filter="lanczos"))


def test_a_flat_image_stays_flat() -> None:
    image = np.full((50, 70, 3), 200, np.uint8)
    assert (lanczos(image, (33, 21)) == 200).all()


@pytest.mark.parametrize("height", [96, 100, 63])
def test_the_preprocessor_takes_the_filter_that_it_is_told(height: int) -> None:
    """Rows are cut or added as ever, after the image was scaled."""
    camera = CameraModel.from_intrinsics(Intrinsics.from_hfov(80.0, 128, height))
    image = picture(height, 128)
    preprocessor = Preprocessor(camera, NetworkInput(64, resize_filter="lanczos"))
    found, _ = preprocessor(image)
    rows = len(found)
    scaled = lanczos(image, (64, round(height / 2)))
    assert np.array_equal(found[-min(rows, len(scaled)) :], scaled[-min(rows, len(scaled)) :])
    assert not np.array_equal(found, Preprocessor(camera, NetworkInput(64))(image)[0])
    assert preprocessor.for_camera(camera) is preprocessor
    moved = CameraModel.from_intrinsics(Intrinsics.from_hfov(70.0, 128, height))
    assert np.array_equal(preprocessor.for_camera(moved)(image)[0], found)


def test_an_unknown_filter_is_refused() -> None:
    camera = CameraModel.from_intrinsics(Intrinsics.from_hfov(80.0, 128, 96))
    with pytest.raises(DataError, match="filter 'bicubic', expected area or lanczos"):
        Preprocessor(camera, NetworkInput(64, resize_filter="bicubic"))
