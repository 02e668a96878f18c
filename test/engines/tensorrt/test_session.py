# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The graph from bytes to the network's input."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from sfm_depth_ros.engines.graphs.agreement import open_session
from sfm_depth_ros.engines.tensorrt.builder import PlanRequest, build_plan
from sfm_depth_ros.engines.tensorrt.runtime import load_tensorrt
from sfm_depth_ros.engines.tensorrt.session import bytes_network


def test_bytes_are_brought_to_the_unit_range_and_stacked() -> None:
    image = np.random.default_rng(0).integers(0, 256, (2, 32, 64, 3), dtype=np.uint8)
    graph = bytes_network((1, 6, 32, 64))
    assert graph.shapes == ((2, 32, 64, 3),)
    onnx.checker.check_model(onnx.load_model_from_string(graph.content), full_check=True)
    (found,) = open_session(graph.content).run(None, {"bytes": image})
    assert (found.shape, found.dtype) == ((1, 6, 32, 64), np.float32)
    expected = image.transpose(0, 3, 1, 2).reshape(1, 6, 32, 64) / 255
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_tensorrt_builds_it() -> None:
    pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt is not installed")
    runtime = load_tensorrt()
    if not runtime.builds_ahead:
        pytest.skip(f"{runtime} builds only where a GPU is")
    graph = bytes_network((1, 6, 64, 96))
    assert build_plan(runtime, PlanRequest(graph.content, graph.shapes, ((8, 6),))).plan
