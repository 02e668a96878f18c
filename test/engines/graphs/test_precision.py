# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Half precision where it is harmless, single where it is not; types are right by construction."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sfm_depth_ros.engines.graphs.agreement import check_agreement, open_session
from sfm_depth_ros.engines.graphs.constants import fold_constants, parse_graph
from sfm_depth_ros.engines.graphs.export import update_onnx
from sfm_depth_ros.engines.graphs.names import fingerprints, narrowed
from sfm_depth_ros.engines.graphs.precision import to_half
from sfm_depth_ros.errors import EngineError, ModelError
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.model_folder.loading import load_network


def half(content: bytes) -> onnx.ModelProto:
    proto = parse_graph(content)
    fold_constants(proto)
    to_half(proto)
    return proto


def kinds(proto: onnx.ModelProto) -> dict[str, int]:
    """Element type of every tensor, as ONNX's own inference (with its checks) has it."""
    graph = onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True).graph
    found = {
        value.name: value.type.tensor_type.elem_type
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    return found | {entry.name: entry.data_type for entry in graph.initializer}


@pytest.mark.parametrize("kind", ["depth", "pose"])
def test_which_layers_are_half(tiny_model: ModelFolder, kind: str) -> None:
    proto = half(tiny_model.onnx(kind).read_bytes())
    onnx.checker.check_model(proto, full_check=True)
    found = kinds(proto)
    output = {node.op_type: [] for node in proto.graph.node}
    for node in proto.graph.node:
        output[node.op_type].append(found[node.output[0]])
    assert set(output["Conv"][:-1]) == {TensorProto.FLOAT16}
    assert output["Conv"][-1] == TensorProto.FLOAT, "the head"
    for operation in ("ReduceMean", "Div", "Exp", "Reciprocal", "Sigmoid"):
        assert set(output.get(operation, [TensorProto.FLOAT])) == {TensorProto.FLOAT}, operation
    assert found["log_scale"] == TensorProto.FLOAT
    assert found[proto.graph.input[0].name] == TensorProto.FLOAT
    assert found[proto.graph.output[0].name] == TensorProto.FLOAT


def test_new_weights_become_what_the_graph_has(
    tiny_model: ModelFolder, other_model: ModelFolder
) -> None:
    before = half(tiny_model.onnx("depth").read_bytes()).SerializeToString()
    state = load_network(other_model, "depth").state_dict()
    updated = update_onnx(before, state)
    fresh = half(other_model.onnx("depth").read_bytes()).SerializeToString()
    graphs = [fingerprints(parse_graph(content)) for content in (before, updated, fresh)]
    assert graphs[1] == graphs[2]
    assert graphs[0][0] == graphs[1][0], "only the weights differ"
    assert graphs[0][1] != graphs[1][1]


def test_a_weight_too_large_for_half_is_named(tiny_model: ModelFolder) -> None:
    proto = parse_graph(tiny_model.onnx("depth").read_bytes())
    entry = next(e for e in proto.graph.initializer if e.name == "encoder.stem.conv.weight")
    values = numpy_helper.to_array(entry).copy()
    values[0, 0, 0, 0] = 1e5
    entry.CopyFrom(numpy_helper.from_array(values, entry.name))
    with pytest.raises(ModelError, match=r"encoder.stem.conv.weight holds 1.0e\+05.*float16"):
        to_half(proto)
    assert np.isinf(narrowed("x", np.array([np.inf]), np.float16)), "what was infinite may be"


def graph_of(nodes: list[onnx.NodeProto], initializers: dict[str, np.ndarray]) -> bytes:
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ("N", 3, "H", "W"))
        for name in ("image", "depth")
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        values[:1],
        values[1:],
        [numpy_helper.from_array(value, name) for name, value in initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def test_a_tensor_read_at_both_precisions_and_resizes_keep_their_scales() -> None:
    weight = np.random.default_rng(0).normal(size=(3, 3, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["a"]),
        helper.make_node("Resize", ["a", "", "scales"], ["b"], mode="nearest"),
        helper.make_node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Exp", ["c"], ["d"]),
        helper.make_node("Mul", ["c", "d"], ["e"]),
        helper.make_node("Conv", ["e", "weight"], ["f"]),
        helper.make_node("Conv", ["f", "weight"], ["depth"]),
    ]
    scales = np.array([1, 1, 2, 2], np.float32)
    content = graph_of(nodes, {"weight": weight, "scales": scales})
    proto = half(content)
    onnx.checker.check_model(proto, full_check=True)
    found = kinds(proto)
    assert found["scales"] == found["d"] == TensorProto.FLOAT
    assert found["weight"] == TensorProto.FLOAT, "the last convolution reads it in single"
    assert found["b"] == found["c"] == found["e"] == found["f"] == TensorProto.FLOAT16
    image = np.random.default_rng(1).random((2, 3, 8, 8), dtype=np.float32)
    expected = open_session(content).run(None, {"image": image})[0]
    output = open_session(proto.SerializeToString()).run(None, {"image": image})[0]
    np.testing.assert_allclose(output, expected, atol=2e-2 * np.abs(expected).max())


def test_an_output_that_would_be_half_is_cast_back() -> None:
    """Here a tensor that goes on into a convolution nobody reads is the output itself."""
    weight = np.eye(3, dtype=np.float32)[:, :, None, None]
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["a"]),
        helper.make_node("Relu", ["a"], ["depth"]),
        helper.make_node("Conv", ["depth", "weight"], ["unused"]),
    ]
    proto = half(graph_of(nodes, {"weight": weight}))
    onnx.checker.check_model(proto, full_check=True)
    assert kinds(proto)["depth"] == TensorProto.FLOAT
    image = np.random.default_rng(1).random((1, 3, 4, 4), dtype=np.float32)
    output = open_session(proto.SerializeToString()).run(["depth"], {"image": image})[0]
    np.testing.assert_allclose(output, image, atol=1e-3)


def test_constants_are_folded_and_weights_are_not() -> None:
    nodes = [
        helper.make_node("Constant", [], ["two"], value_float=2.0),
        helper.make_node("Constant", [], ["one"], value_int=1),
        helper.make_node("CastLike", ["one", "image"], ["single"]),
        helper.make_node("Add", ["two", "single"], ["three"]),
        helper.make_node("Exp", ["log_scale"], ["gain"]),
        helper.make_node("Mul", ["image", "three"], ["a"]),
        helper.make_node("Mul", ["a", "gain"], ["depth"]),
    ]
    proto = parse_graph(graph_of(nodes, {"log_scale": np.float32(0.0)}))
    fold_constants(proto)
    onnx.checker.check_model(proto, full_check=True)
    assert [node.op_type for node in proto.graph.node] == ["Exp", "Mul", "Mul"]
    values = {entry.name: numpy_helper.to_array(entry) for entry in proto.graph.initializer}
    assert values == {"log_scale": 0.0, "three": 3.0}


def test_a_graph_with_another_output_is_refused(tiny_model: ModelFolder) -> None:
    content = tiny_model.onnx("pose").read_bytes()
    network = load_network(tiny_model, "pose")

    def wrong(image: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            output: np.ndarray = network(torch.from_numpy(image)).numpy()
        return output * 1.01

    with pytest.raises(EngineError, match=r"output \(1, 6\) and a relative error of 9.9e-03"):
        check_agreement(content, wrong, 6, "fp32")
    assert 0.005 < check_agreement(content, wrong, 6, "fp16") < 0.02
    with pytest.raises(EngineError, match="onnxruntime refuses the exported graph"):
        open_session(b"no graph")
