# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth graphs of any origin: wrapped with the right arithmetic, or refused in one line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from sfm_depth_ros.engines.graphs.agreement import open_session
from sfm_depth_ros.engines.graphs.export import update_onnx
from sfm_depth_ros.engines.graphs.foreign import (
    SOURCE_HASH,
    GraphDeclaration,
    check_outputs,
    wrap_graph,
)
from sfm_depth_ros.errors import ModelError

METRIC = GraphDeclaration("metric")
SHAPE: tuple[Any, ...] = (1, 3, 16, 24)


def graph(
    nodes: list[Any],
    inputs: dict[str, tuple[Any, ...]] | None = None,
    outputs: tuple[str, ...] = ("out",),
    kind: int = TensorProto.FLOAT,
    opset: int = 17,
) -> bytes:
    """A graph whose first nodes see ``image`` ``(1, 3, 16, 24)``."""
    numbers = {"axes": np.array([1], np.int64), "two": np.array(2.0, np.float32)}
    proto = helper.make_graph(
        nodes,
        "foreign",
        [
            helper.make_tensor_value_info(name, kind, shape)
            for name, shape in (inputs or {"image": SHAPE}).items()
        ],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in numbers.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    content: bytes = helper.make_model(proto, opset_imports=opsets).SerializeToString()
    return content


def mean_times_two(source: str = "image", out: str = "out") -> list[Any]:
    """Twice the mean over channels, (1, 1, h, w)."""
    return [
        helper.make_node("ReduceMean", [source], ["mean_"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["mean_", "two"], [out]),
    ]


def run(content: bytes, image: np.ndarray) -> np.ndarray:
    session = open_session(content)
    assert [value.name for value in session.get_inputs()] == ["image"]
    (depth,) = session.run(["depth"], {"image": image})
    return depth


def picture() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.2, 1.0, SHAPE).astype(np.float32)


def test_metres_with_their_unit_and_normalisation() -> None:
    declared = replace(METRIC, mean=(0.1, 0.1, 0.1), deviation=(0.5, 0.5, 0.5), units=0.25)
    wrapped = wrap_graph(graph(mean_times_two()), declared)
    assert wrapped.size == (24, 16)
    image = picture()
    expected = 0.25 * 2.0 * (image.mean(1, keepdims=True) - 0.1) / 0.5
    np.testing.assert_allclose(run(wrapped.content, image), expected, rtol=1e-5)


@pytest.mark.parametrize("head", ["inverse-affine", "depth-affine"])
def test_affine_heads_take_A_and_B_and_new_ones(head: str) -> None:
    declared = GraphDeclaration(head, A=0.5, B=0.2)
    wrapped = wrap_graph(graph(mean_times_two()), declared)
    image = picture()
    out = 2.0 * image.mean(1, keepdims=True)

    def meant(A: float, B: float) -> np.ndarray:
        line = A * out + B
        return 1.0 / line if head == "inverse-affine" else line

    np.testing.assert_allclose(run(wrapped.content, image), meant(0.5, 0.2), rtol=1e-5)
    sign = -1.0 if head == "inverse-affine" else 1.0
    state = {
        **wrapped.state,
        "log_scale": np.float32(sign * np.log(2.0)),
        "shift": np.float32(0.3),
    }
    updated = update_onnx(wrapped.content, state)
    np.testing.assert_allclose(run(updated, image), meant(2.0, 0.6), rtol=1e-5)


def test_a_smaller_map_is_enlarged_and_axes_of_one_do_not_matter() -> None:
    nodes = [
        *mean_times_two(out="large"),
        helper.make_node("AveragePool", ["large"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Squeeze", ["half", "axes"], ["out"]),
    ]
    wrapped = wrap_graph(graph(nodes), METRIC)
    image = np.full(SHAPE, 0.25, np.float32)
    found = run(wrapped.content, image)
    assert found.shape == (1, 1, 16, 24)
    np.testing.assert_allclose(found, 0.5, rtol=1e-6)


def test_a_free_size_and_an_old_opset_are_made_to_fit() -> None:
    nodes = [helper.make_node("ReduceMean", ["image"], ["out"], axes=[1], keepdims=1)]
    content = graph(nodes, {"image": ("n", 3, "height", "width")}, opset=11)
    wrapped = wrap_graph(content, replace(METRIC, size=(40, 32)))
    assert wrapped.size == (40, 32)
    assert run(wrapped.content, np.ones((1, 3, 32, 40), np.float32)).shape == (1, 1, 32, 40)


def test_names_inside_do_not_clash_and_another_graph_is_another_model() -> None:
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["depth"], axes=[1], keepdims=1),
        helper.make_node("Add", ["depth", "two"], ["log_scale"]),
    ]
    first = wrap_graph(graph(nodes, outputs=("log_scale",)), METRIC)
    image = picture()
    expected = image.mean(1, keepdims=True) + 2.0
    np.testing.assert_allclose(run(first.content, image), expected, rtol=1e-5)
    second = wrap_graph(graph(mean_times_two()), METRIC)
    assert not np.array_equal(first.state[SOURCE_HASH], second.state[SOURCE_HASH])


TWO = [*mean_times_two(), helper.make_node("Sigmoid", ["out"], ["sky"])]
VECTOR = [helper.make_node("ReduceMean", ["image"], ["out"], axes=[1, 2, 3], keepdims=0)]
ODD = [helper.make_node("NoSuchOperator", ["image"], ["out"])]
REFUSED: dict[str, tuple[bytes, GraphDeclaration, str]] = {
    "no graph": (b"\x08\x07garbage", METRIC, "no ONNX graph"),
    "cut short": (graph(mean_times_two())[:-20], METRIC, "no ONNX graph"),
    "several outputs": (
        graph(TWO, outputs=("out", "sky")), METRIC, r"outputs out, sky; .*--output NAME",
    ),
    "unknown output": (
        graph(mean_times_two()), replace(METRIC, output="depth"), "outputs out, not depth",
    ),
    "two inputs": (
        graph(mean_times_two(), {"image": SHAPE, "focal": (1,)}), METRIC,
        r"found 2 inputs \(image \(1, 3, 16, 24\), focal \(1\)\), expected one image",
    ),
    "channels last": (
        graph(mean_times_two(), {"image": (1, 16, 24, 3)}), METRIC, "channels on the second axis",
    ),
    "batch": (graph(mean_times_two(), {"image": (4, 3, 16, 24)}), METRIC, "expected a batch of 1"),
    "bytes": (
        graph(mean_times_two(), kind=TensorProto.UINT8), METRIC, "of type uint8, expected float32",
    ),
    "free size": (
        graph(mean_times_two(), {"image": (1, 3, "h", "w")}), METRIC, r"\(1, 3, h, w\) has a free",
    ),
    "wrong size": (
        graph(mean_times_two()), replace(METRIC, size=(640, 192)), "--size is 640x192; leave",
    ),
    "no map": (graph(VECTOR), METRIC, r"output out is float32 \(1,\), expected float32 \(1, 1, H"),
    "unknown operator": (graph(ODD), METRIC, "refuses the graph .*NoSuchOperator"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_cannot_serve_is_refused_in_one_line(case: str) -> None:
    content, declared, message = REFUSED[case]
    with pytest.raises(ModelError, match=message) as caught:
        wrap_graph(content, declared)
    assert "\n" not in str(caught.value)


def test_weights_in_another_file_are_asked_for() -> None:
    proto = onnx.load_model_from_string(graph(mean_times_two()))
    proto.graph.initializer[1].ClearField("raw_data")
    proto.graph.initializer[1].data_location = TensorProto.EXTERNAL
    entry = proto.graph.initializer[1].external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    with pytest.raises(ModelError, match=r"1 weights \(two \.\.\.\) lie in another file"):
        wrap_graph(proto.SerializeToString(), METRIC)


@pytest.mark.parametrize(("depth", "head", "message"), [
    (np.full((1, 1, 2, 2), np.nan), "metric", "NaN"),
    (np.full((1, 1, 2, 2), 1e-3), "metric", "100 % of the outputs are zero .* inverse-affine"),
    (np.full((1, 1, 2, 2), 1e6), "inverse-affine", "wrong sign for --head inverse-affine"),
    (np.full((1, 1, 2, 2), 7.5), "metric", "is 7.5 everywhere"),
])  # fmt: skip
def test_depths_that_make_no_sense_are_refused(depth: np.ndarray, head: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_outputs(depth, head, 0.0)


def test_depths_that_make_sense_pass() -> None:
    check_outputs(np.arange(1.0, 5.0).reshape(1, 1, 2, 2), "metric", 0.0)
