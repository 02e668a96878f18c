# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The graph's way from bytes to the network's image is the one of data/preprocessing."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from sfm_depth_ros.camera.image_layout import ImageLayout
from sfm_depth_ros.camera.preprocessing import CameraModel, Preprocessor
from sfm_depth_ros.engines.graphs.agreement import open_session
from sfm_depth_ros.engines.graphs.export import update_onnx
from sfm_depth_ros.engines.graphs.input import (
    InputLayout,
    area_matrix,
    input_graph,
    prepend_input,
)
from sfm_depth_ros.engines.graphs.precision import to_half
from sfm_depth_ros.engines.tensorrt.builder import PlanRequest, build_plan
from sfm_depth_ros.engines.tensorrt.runtime import load_tensorrt
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.model_folder.loading import load_network

# Camera width and height, input width, crop: whole factors, others, rows cut, rows added.
CAMERAS = [
    (192, 96, 96, (0.0, 0.0, 0.0, 0.0)),
    (192, 108, 96, (0.0, 0.0, 0.0, 0.0)),
    (128, 93, 96, (0.0, 0.0, 0.0, 0.0)),
    (200, 120, 96, (0.1, 0.05, 0.0, 0.1)),
    (97, 61, 96, (0.0, 0.0, 0.0, 0.0)),
    (192, 120, 96, (0.0, 0.0, 0.0, 0.0)),
]


def camera_of(width: int, height: int) -> CameraModel:
    return CameraModel.from_intrinsics(
        Intrinsics(100.0, 100.0, width / 2, height / 2, width, height)
    )


def layout_of(layout: ImageLayout) -> InputLayout:
    width, height = layout.scaled_size
    cut = (layout.left, layout.top, layout.right, layout.bottom)
    return InputLayout(
        (layout.source.height, layout.source.width), cut, (height, width), layout.cut_rows
    )


def run(proto: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(proto, full_check=True)
    session = open_session(proto.SerializeToString())
    return session.run(None, {"image_bytes": image})[0]


@pytest.mark.parametrize("camera", CAMERAS, ids=str)
def test_as_the_preprocessing_has_it(
    camera: tuple[int, int, int, tuple[float, float, float, float]],
) -> None:
    width, height, input_width, crop = camera
    preprocessor = Preprocessor(camera_of(width, height), input_width, crop)
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected, _ = preprocessor(image)
    found = run(input_graph(layout_of(preprocessor._layout)), image[None])
    assert found.shape == (1, 3, *expected.shape[:2])
    difference = np.abs(found[0].transpose(1, 2, 0) * 255 - expected)
    assert difference.max() < 1.0, "of 255: the preprocessing rounds, once or twice"
    assert difference.mean() < 0.4


def test_area_averaging_by_hand() -> None:
    np.testing.assert_allclose(area_matrix(4, 2), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    np.testing.assert_allclose(
        area_matrix(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], atol=1e-7
    )
    image = np.random.default_rng(0).random(7)
    fine = np.repeat(image, 5)  # 35 cells: 5 pixels of 7 cells each
    np.testing.assert_allclose(
        area_matrix(7, 5) @ image, fine.reshape(5, 7).mean(axis=1), atol=1e-6
    )
    np.testing.assert_allclose(area_matrix(720, 193).sum(axis=1), 1.0, atol=1e-6)


def test_bytes_of_the_networks_size_are_only_brought_to_the_unit_range() -> None:
    image = np.random.default_rng(0).integers(0, 256, (2, 32, 64, 3), dtype=np.uint8)
    found = run(input_graph(InputLayout.identity((32, 64)), images=2), image)
    assert found.shape == (1, 6, 32, 64)
    expected = image.transpose(0, 3, 1, 2).reshape(1, 6, 32, 64) / 255
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize(("kind", "images"), [("depth", 1), ("pose", 2)])
def test_before_a_network(
    tiny_model: ModelFolder, other_model: ModelFolder, kind: str, images: int
) -> None:
    layout = InputLayout((72, 200), (4, 0, 196, 72), (36, 96), 4)
    content = prepend_input(tiny_model.onnx(kind).read_bytes(), layout, images)
    image = np.random.default_rng(0).integers(0, 256, (images, 72, 200, 3), dtype=np.uint8)
    small = run(input_graph(layout, images), image)
    for model, graph in (
        (tiny_model, content),
        (other_model, update_onnx(content, load_network(other_model, kind).state_dict())),
    ):
        (expected,) = open_session(model.onnx(kind).read_bytes()).run(None, {"image": small})
        found = run(onnx.load_model_from_string(graph), image)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_graph_with_other_inputs_is_refused(tiny_model: ModelFolder) -> None:
    content = prepend_input(tiny_model.onnx("depth").read_bytes(), InputLayout.identity((32, 96)))
    with pytest.raises(ModelError, match=r"inputs \['image_bytes'\] cannot take bytes"):
        prepend_input(content, InputLayout.identity((32, 96)))


@pytest.mark.parametrize("camera_hw", [(128, 192), (120, 200)], ids=["pooling", "matrices"])
def test_tensorrt_builds_it(tiny_model: ModelFolder, camera_hw: tuple[int, int]) -> None:
    pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt is not installed")
    runtime = load_tensorrt()
    if not runtime.builds_ahead:
        pytest.skip(f"{runtime} builds only where a GPU is")
    proto = onnx.load_model_from_string(tiny_model.onnx("depth").read_bytes())
    to_half(proto)
    layout = InputLayout(camera_hw, (0, 0, camera_hw[1], camera_hw[0]), (64, 96))
    content = prepend_input(proto.SerializeToString(), layout)
    assert build_plan(runtime, PlanRequest(content, ((1, *camera_hw, 3),), ((8, 6),))).plan
