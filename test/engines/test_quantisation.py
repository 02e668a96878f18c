# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""int8: the quantised nodes, the error, and that it is never used without a request."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sfm_depth_ros.engines import quantisation
from sfm_depth_ros.engines.base import EngineRequest
from sfm_depth_ros.engines.factory import create_engine
from sfm_depth_ros.engines.quantisation import (
    Calibration,
    calibrate,
    calibration_file,
    find_calibration,
    quantised_graph,
    value_ranges,
)
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.storage import cache_directory

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

GAINS = (2.0, -3.0, 0.5)  # of three convolutions of one pixel each, one after the other


@pytest.fixture
def chain() -> bytes:
    """A graph whose every value is known: the image times the gains."""
    names = ["image", "first", "second", "depth"]
    nodes = [
        onnx.helper.make_node("Conv", [names[i], f"w{i}"], [names[i + 1]], name=f"conv{i}")
        for i in range(3)
    ]
    weights = [
        onnx.numpy_helper.from_array(np.full((1, 1, 1, 1), gain, np.float32), f"w{i}")
        for i, gain in enumerate(GAINS)
    ]
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, 1, "h", "w"))
        for name in ("image", "depth")
    ]
    graph = onnx.helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    model.ir_version = 9
    content: bytes = model.SerializeToString()
    return content


@pytest.fixture
def frames() -> np.ndarray:
    """Eight small images."""
    return np.random.default_rng(0).random((8, 3, 32, 96), dtype=np.float32)


@pytest.fixture
def calibrated(
    tiny_model: ModelFolder, frames: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Path:
    """A cache in which the tiny depth network is calibrated."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calibrate(tiny_model, "depth", frames)
    return cache_directory() / "calibration"


def test_ranges_are_those_of_the_values(chain: bytes) -> None:
    images = np.linspace(0.0, 1.0, 4 * 6, dtype=np.float32).reshape(4, 1, 2, 3)
    ranges = value_ranges(chain, images)
    for name, (low, high) in {"image": (0, 1), "first": (0, 2), "second": (-6, 0)}.items():
        assert ranges[name] == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize("symmetric", [False, True])
def test_inner_convolutions_alone_are_quantised(chain: bytes, symmetric: bool) -> None:
    ranges = {
        "image": (0.0, 1.0),
        "first": (0.0, 2.0),
        "second": (-6.0, 0.0),
        "depth": (-3.0, 0.0),
    }
    content = quantised_graph(chain, Calibration(ranges, 1, "some"), symmetric)
    graph = onnx.load_model_from_string(content).graph
    maker = {name: node.op_type for node in graph.node for name in node.output}
    sources = {
        node.name: maker.get(node.input[0]) for node in graph.node if node.op_type == "Conv"
    }
    assert sources["conv1"] == "DequantizeLinear"
    assert sources["conv0"] is None, "the first convolution sees the image as it is"
    zero_points = [
        onnx.numpy_helper.to_array(one)
        for one in graph.initializer
        if "zero_point" in one.name and "w1" not in one.name
    ]
    assert zero_points
    assert {str(one.dtype) for one in zero_points} == {"int8" if symmetric else "uint8"}
    if symmetric:
        assert all(not one.any() for one in zero_points)
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    image = np.linspace(0.0, 1.0, 12, dtype=np.float32).reshape(1, 1, 3, 4)
    (found,) = session.run(None, {"image": image})
    step = max(2.0 * 3.0, 6.0) / (127 if symmetric else 255)
    assert np.abs(found - image * np.prod(GAINS)).max() < step
    assert np.abs(found - image * np.prod(GAINS)).max() > 1e-6, "nothing was quantised"


def test_ranges_of_another_graph_are_refused(chain: bytes) -> None:
    with pytest.raises(EngineError, match=r"lack \['first'\].*calibrate again"):
        quantised_graph(chain, Calibration({"image": (0.0, 1.0)}, 1, "other"))


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_calibrated_model_runs_in_int8(
    tiny_model: ModelFolder, calibrated: Path, frames: np.ndarray, name: str
) -> None:
    whole = create_engine(tiny_model, "depth", (32, 96), name, "fp32")
    small = create_engine(tiny_model, "depth", (32, 96), name, "int8")
    assert small.precision == "int8"
    expected, found = whole.infer(frames[:1]), small.infer(frames[:1])
    error = np.abs(found / expected - 1)
    assert 0 < np.median(error) < 0.05


def test_new_weights_reuse_the_ranges(
    other_model: ModelFolder, tiny_model: ModelFolder, calibrated: Path
) -> None:
    assert find_calibration(other_model, "depth") == find_calibration(tiny_model, "depth")
    assert create_engine(other_model, "depth", (32, 96), "onnxruntime", "int8").name


def test_without_calibration_the_remedy_is_said(tiny_model: ModelFolder, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"never calibrated.*--precision int8 --calibrate BAG"):
        quantisation.int8_graph(EngineRequest(tiny_model, "pose", (1, 6, 32, 96), "int8"))


def test_the_price_is_said_and_too_high_a_one_refused(
    tiny_model: ModelFolder, frames: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    error = calibrate(tiny_model, "depth", frames, directory=tmp_path / "fair")
    assert 0 < error.p50 <= error.p99 <= error.max
    monkeypatch.setattr(quantisation, "ACCEPTED_P99", error.p99 / 2)
    with pytest.raises(EngineError, match=r"p50 .*, p99 .*, max .*or give --insist"):
        calibrate(tiny_model, "depth", frames, directory=tmp_path / "dear")
    assert find_calibration(tiny_model, "depth", tmp_path / "dear") is None
    calibrate(tiny_model, "depth", frames, insist=True, directory=tmp_path / "dear")
    assert find_calibration(tiny_model, "depth", tmp_path / "dear") is not None


def test_too_few_frames(tiny_model: ModelFolder, frames: np.ndarray) -> None:
    with pytest.raises(EngineError, match=r"at least 4 frames.*longer bag"):
        calibrate(tiny_model, "depth", frames[:3])


@pytest.mark.parametrize("content", ["{", "[]", '{"ranges": {"a": [1]}}', '{"ranges": 3}'])
def test_a_damaged_file_of_ranges_is_ignored(
    tiny_model: ModelFolder, tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = calibration_file(tiny_model, "depth", tmp_path)
    file.write_text(content)
    assert find_calibration(tiny_model, "depth", tmp_path) is None
    assert "calibrate again" in caplog.text
