# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights kept as float16: half the file, the same graph once it is read."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfm_depth_ros.config.schema import DepthNetworkConfig
from sfm_depth_ros.engines.graphs.constants import parse_graph
from sfm_depth_ros.engines.graphs.export import export_onnx, update_onnx
from sfm_depth_ros.engines.graphs.names import weight_arrays
from sfm_depth_ros.engines.graphs.storage import KEPT_SHARE, store_half
from sfm_depth_ros.networks.model import create_depth_network

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def graph() -> bytes:
    torch.manual_seed(1)
    return export_onnx(create_depth_network(DepthNetworkConfig(width=8)).eval(), "depth")


def _run(content: bytes) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).random((1, 3, 64, 96), np.float32)
    result: np.ndarray = session.run(None, {"image": image})[0]
    return result


def test_the_file_is_about_half_as_large_and_computes_the_same(graph: bytes) -> None:
    stored = store_half(graph)
    assert len(stored) < 0.65 * len(graph)
    assert np.abs(_run(stored) / _run(graph) - 1).max() < 1e-2


def test_who_reads_the_graph_sees_the_original_with_rounded_weights(graph: bytes) -> None:
    original, restored = parse_graph(graph), parse_graph(store_half(graph))
    assert [node.SerializeToString() for node in restored.graph.node] == [
        node.SerializeToString() for node in original.graph.node
    ]
    before, after = weight_arrays(original), weight_arrays(restored)
    assert before.keys() == after.keys()
    kept = [0]
    for name, values in before.items():
        rounded = values.astype(np.float16).astype(np.float32)
        assert after[name].dtype == np.float32
        if np.array_equal(after[name], values) and not np.array_equal(values, rounded):
            kept.append(values.size)
        else:
            assert np.array_equal(after[name], rounded)
    total = sum(values.size for values in before.values())
    assert 0.5 * KEPT_SHARE * total < sum(kept) <= KEPT_SHARE * total


def test_new_weights_replace_stored_ones(graph: bytes) -> None:
    torch.manual_seed(2)
    other = create_depth_network(DepthNetworkConfig(width=8)).eval()
    updated = update_onnx(store_half(graph), other.state_dict())
    assert np.allclose(_run(updated), _run(export_onnx(other, "depth")), rtol=1e-4)
