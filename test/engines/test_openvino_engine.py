# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Graphs rewritten for speed have the same output."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sfm_depth_ros.engines.openvino_engine import speed_up_doubling

openvino = pytest.importorskip("openvino")


def _interpolation(mode: str, transformation: str, size: tuple[int, int]) -> object:
    image = openvino.opset13.parameter([1, 1, 5, 7], np.float32)
    enlarged = openvino.opset13.interpolate(
        image,
        list(size),
        mode,
        "sizes",
        axes=[2, 3],
        coordinate_transformation_mode=transformation,
    )
    return openvino.Model([enlarged], [image])


def _run(model: object, image: np.ndarray) -> np.ndarray:
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(image)[0])


def test_bilinear_doubling_is_replaced_and_the_same() -> None:
    image = np.random.default_rng(0).standard_normal((1, 1, 5, 7)).astype(np.float32)
    model = _interpolation("linear_onnx", "half_pixel", (10, 14))
    assert speed_up_doubling(model) == 1
    assert not any(
        node.get_type_name() == "Interpolate" and node.get_attributes()["mode"] != "nearest"
        for node in model.get_ordered_ops()
    )  # type: ignore[attr-defined]
    expected = cv2.resize(image[0, 0], (14, 10), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(_run(model, image)[0, 0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "transformation", "size"),
    [
        ("linear_onnx", "half_pixel", (10, 15)),
        ("linear_onnx", "half_pixel", (15, 21)),
        ("linear_onnx", "align_corners", (10, 14)),
        ("nearest", "asymmetric", (10, 14)),
    ],
)
def test_other_interpolations_stay(mode: str, transformation: str, size: tuple[int, int]) -> None:
    assert speed_up_doubling(_interpolation(mode, transformation, size)) == 0
