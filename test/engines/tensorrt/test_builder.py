# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT-RTX itself builds, without a GPU, through the code that a GPU machine runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from sfm_depth_ros.engines import quantisation
from sfm_depth_ros.engines.base import EngineRequest
from sfm_depth_ros.engines.graphs.agreement import open_session
from sfm_depth_ros.engines.tensorrt.builder import (
    BuildStoppedError,
    PlanRequest,
    build_plan,
    remedy,
)
from sfm_depth_ros.engines.tensorrt.plan import prepare_graph
from sfm_depth_ros.engines.tensorrt.runtime import TensorRt, load_tensorrt
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder

pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt is not installed")

SHAPES = {"depth": (1, 3, 64, 96), "pose": (1, 6, 64, 96)}
AMPERE = ((8, 6),)


@pytest.fixture(scope="module")
def runtime() -> TensorRt:
    found = load_tensorrt()
    if not found.builds_ahead:
        pytest.skip(f"{found} builds only where a GPU is")
    return found


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("kind", ["depth", "pose"])
def test_the_small_networks_build(
    runtime: TensorRt, tiny_model: ModelFolder, kind: str, precision: str
) -> None:
    graph = prepare_graph(
        EngineRequest(tiny_model, kind, SHAPES[kind], precision), (SHAPES[kind],)
    )
    shares: list[float] = []
    built = build_plan(
        runtime,
        PlanRequest(graph.content, graph.shapes, AMPERE),
        lambda share: shares.append(share) or True,
    )
    weights = sum(values.nbytes for values in graph.arrays.values())
    assert len(built.plan) > weights, "the weights are in the plan"
    assert built.seconds > 0
    assert shares and shares == sorted(shares)


def test_the_shipped_model_builds_for_two_shapes(runtime: TensorRt, source_tree: Path) -> None:
    """Its graph was written by an earlier version, with axes that had to be computed."""
    model = read_model_folder(source_tree / "models" / "small")
    shapes = ((1, 3, 192, 640), (1, 3, 96, 320))
    graph = prepare_graph(EngineRequest(model, "depth", shapes[0], "fp16"), shapes)
    assert build_plan(runtime, PlanRequest(graph.content, shapes, AMPERE)).plan


def test_int8_builds(
    runtime: TensorRt, tiny_model: ModelFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shape = SHAPES["depth"]
    frames = np.random.default_rng(0).random((quantisation.MIN_FRAMES, *shape[1:]), np.float32)
    quantisation.calibrate(tiny_model, "depth", frames, insist=True)
    graph = prepare_graph(EngineRequest(tiny_model, "depth", shape, "int8"), (shape,))
    single = prepare_graph(EngineRequest(tiny_model, "depth", shape), (shape,))
    images = frames[:1]
    found, expected = (
        open_session(content).run(None, {"image": images})[0]
        for content in (graph.content, single.content)
    )
    assert 0 < np.abs(found / expected - 1).max() < 0.2
    assert build_plan(runtime, PlanRequest(graph.content, graph.shapes, AMPERE)).plan


def one_node(operation: str) -> bytes:
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3, 8, 8))
        for name in ("image", "depth")
    ]
    node = helper.make_node(operation, ["image"], ["depth"], name="the_node")
    graph = helper.make_graph([node], "graph", values[:1], values[1:])
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)]
    ).SerializeToString()


def test_a_graph_that_is_refused_names_the_operator(runtime: TensorRt) -> None:
    with pytest.raises(EngineError, match=r"refuses the graph \(.*Det.*\); choose another"):
        build_plan(runtime, PlanRequest(one_node("Det"), ((1, 3, 8, 8),), AMPERE))
    with pytest.raises(EngineError, match="refuses the graph"):
        build_plan(runtime, PlanRequest(b"no graph at all", ((1, 3, 8, 8),), AMPERE))


def test_a_gpu_that_it_does_not_know(runtime: TensorRt) -> None:
    with pytest.raises(EngineError, match=r"no compute capability 6\.0 \(SM60\), only .*SM86"):
        build_plan(runtime, PlanRequest(one_node("Relu"), ((1, 3, 8, 8),), ((6, 0),)))


def test_every_capability_that_it_lists_can_be_built_for(runtime: TensorRt) -> None:
    capabilities = tuple(runtime.all_capabilities())
    assert (8, 6) in capabilities
    request = PlanRequest(one_node("Relu"), ((1, 3, 8, 8),), capabilities)
    assert build_plan(runtime, request).plan


@pytest.mark.skipif(bool(list(Path("/dev").glob("nvidia[0-9]*"))), reason="a GPU is here")
def test_without_a_gpu_a_refittable_plan_is_an_error(runtime: TensorRt) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 8, 8))
    depth = helper.make_tensor_value_info("depth", TensorProto.FLOAT, (1, 1, 8, 8))
    weight = helper.make_tensor("weight", TensorProto.FLOAT, (1, 3, 1, 1), [1.0, 2.0, 3.0])
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weight"], ["depth"])],
        "graph",
        [image],
        [depth],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    onnx.checker.check_model(model)
    with pytest.raises(EngineError, match="cannot build the graph"):
        build_plan(runtime, PlanRequest(model.SerializeToString(), ((1, 3, 8, 8),), AMPERE, True))


def test_a_build_can_be_stopped(runtime: TensorRt, tiny_model: ModelFolder) -> None:
    graph = prepare_graph(EngineRequest(tiny_model, "pose", SHAPES["pose"]), (SHAPES["pose"],))
    request = PlanRequest(graph.content, graph.shapes, AMPERE)
    with pytest.raises(BuildStoppedError):
        build_plan(runtime, request, lambda share: False)


@pytest.mark.parametrize(
    ("complaint", "message"),
    [
        ("Error Code 2: OutOfMemory", "free GPU memory"),
        ("CUDA driver version is insufficient for CUDA runtime version", "NVIDIA driver"),
        ("Target GPU SM 90 is not supported: unsupported SM", "does not know the GPU"),
        ("something unheard of", "report the line"),
    ],
)
def test_remedies(complaint: str, message: str) -> None:
    assert re.search(message, remedy(complaint))
