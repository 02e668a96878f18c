# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exported graphs: standard operations, named weights, any size; updates equal exports."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from sfm_depth_ros.engines.graphs.export import DYNAMIC, export_onnx, update_onnx
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.model_folder.loading import load_network
from sfm_depth_ros.share import SHIPPED_MODEL, share_path

CHANNELS = {"depth": 3, "pose": 6}


def run(content: bytes, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


def changed(network: nn.Module) -> nn.Module:
    """The same network with other weights, statistics and scale everywhere."""
    network = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.mul_(1.5)
            elif tensor.is_floating_point():
                tensor.add_(0.05 * torch.randn(tensor.shape, generator=generator))
        network.log_scale.fill_(0.7)
    return network


@pytest.mark.parametrize("kind", ["depth", "pose"])
@pytest.mark.parametrize("size", [(96, 320), (192, 640), (128, 320)])
def test_every_size_equals_torch(
    tiny_model: ModelFolder, kind: str, size: tuple[int, int]
) -> None:
    network = load_network(tiny_model, kind)
    image = np.random.default_rng(0).random((1, CHANNELS[kind], *size), dtype=np.float32)
    with torch.inference_mode():
        x = torch.from_numpy(image)
        expected = (network.depth(x) if kind == "depth" else network(x)).numpy()
    found = run(tiny_model.onnx(kind).read_bytes(), image)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["depth", "pose"])
def test_the_graph_is_plain(tiny_model: ModelFolder, kind: str) -> None:
    content = tiny_model.onnx(kind).read_bytes()
    graph = onnx.load_model_from_string(content)
    onnx.checker.check_model(graph, full_check=True)
    assert {node.domain for node in graph.graph.node} <= {"", "ai.onnx"}
    operations = {node.op_type for node in graph.graph.node}
    assert "BatchNormalization" not in operations
    assert [entry.version for entry in graph.opset_import] == [18]
    assert not graph.functions
    names = {entry.name for entry in graph.graph.initializer}
    assert "log_scale" in names
    parameters = {name for name, _ in load_network(tiny_model, kind).named_parameters()}
    assert {name for name in names if name.endswith(".weight")} <= parameters
    assert b"site-packages" not in content  # no traces of the machine that exported it


@pytest.mark.parametrize("kind", ["depth", "pose"])
def test_an_update_equals_a_fresh_export(
    tiny_model: ModelFolder, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    network = changed(load_network(tiny_model, kind)).to(memory_format=torch.channels_last)
    before = tiny_model.onnx(kind).read_bytes()
    updated, fresh = update_onnx(before, network.state_dict()), export_onnx(network, kind)
    image = np.random.default_rng(0).random((1, CHANNELS[kind], 64, 96), dtype=np.float32)
    np.testing.assert_allclose(run(updated, image), run(fresh, image), rtol=1e-6, atol=1e-7)
    assert np.abs(run(updated, image) - run(before, image)).max() > 1e-3
    assert capfd.readouterr().out == "", "stdout belongs to the commands"


def test_log_scale_alone_multiplies_the_depth(tiny_model: ModelFolder) -> None:
    state = {
        name: value.numpy()
        for name, value in load_network(tiny_model, "depth").state_dict().items()
    }
    state["log_scale"] = np.float32(np.log(3.0))
    before = tiny_model.onnx("depth").read_bytes()
    image = np.random.default_rng(0).random((1, 3, 32, 64), dtype=np.float32)
    ratio = run(update_onnx(before, state), image) / run(before, image)
    np.testing.assert_allclose(ratio, 3.0, rtol=1e-5)


def test_weights_that_do_not_fit_are_named(tiny_model: ModelFolder) -> None:
    content = tiny_model.onnx("depth").read_bytes()
    state = load_network(tiny_model, "depth").state_dict()
    without = {name: value for name, value in state.items() if name != "log_scale"}
    with pytest.raises(ModelError, match=r"not in the weights \['log_scale'\]"):
        update_onnx(content, without)
    with pytest.raises(ModelError, match=r"not in the graph \['extra.weight'\]"):
        update_onnx(content, {**state, "extra.weight": torch.zeros(1)})
    with pytest.raises(ModelError, match=r"of another shape \['log_scale'\]"):
        update_onnx(content, {**state, "log_scale": torch.zeros(2)})
    with pytest.raises(ModelError, match="cannot be read"):
        update_onnx(b"something else", state)
    with pytest.raises(ModelError, match="cannot be replaced"):
        update_onnx(onnx.ModelProto().SerializeToString(), state)


def test_the_same_weights_give_the_same_file(tiny_model: ModelFolder) -> None:
    content = tiny_model.onnx("pose").read_bytes()
    assert update_onnx(content, load_network(tiny_model, "pose").state_dict()) == content


def test_unknown_kind(tiny_model: ModelFolder) -> None:
    with pytest.raises(ValueError, match="'depth' or 'pose'"):
        export_onnx(load_network(tiny_model, "pose"), "flow")


@pytest.mark.parametrize("kind", ["depth", "pose"])
def test_half_precision_and_any_batch(tiny_model: ModelFolder, kind: str) -> None:
    network = load_network(tiny_model, kind)
    content = export_onnx(network, kind, "fp16", DYNAMIC)
    onnx.checker.check_model(onnx.load_model_from_string(content), full_check=True)
    for count, height, width in ((1, 64, 96), (3, 96, 32)):
        shape = (count, CHANNELS[kind], height, width)
        image = np.random.default_rng(0).random(shape, dtype=np.float32)
        with torch.inference_mode():
            x = torch.from_numpy(image)
            expected = (network.depth(x) if kind == "depth" else network(x)).numpy()
        found = run(content, image)
        assert found.shape == expected.shape
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-2 * np.abs(expected).max())
    assert update_onnx(content, network.state_dict()) == content


def test_what_cannot_be_exported(tiny_model: ModelFolder) -> None:
    with pytest.raises(ValueError, match="got 'fp8' and 1"):
        export_onnx(load_network(tiny_model, "pose"), "pose", "fp8")


def test_the_file_format_is_the_oldest_that_the_opset_allows(tiny_model: ModelFolder) -> None:
    onnx = pytest.importorskip("onnx")
    for kind in ("depth", "pose"):
        proto = onnx.load(tiny_model.path / f"{kind}.onnx")
        assert [entry.version for entry in proto.opset_import] == [18]
        assert proto.ir_version == 8  # ONNX Runtime 1.14 of 2023 and later


def test_the_shipped_graphs_are_of_that_format() -> None:
    onnx = pytest.importorskip("onnx")
    for path in share_path(SHIPPED_MODEL).glob("*.onnx"):
        assert onnx.load(path).ir_version == 8, path
