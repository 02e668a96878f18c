# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every depth network as a graph: ONNX Runtime computes the same as torch, at any size."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.engines.graphs.export import export_onnx, update_onnx
from sfm_depth_ros.networks import dispnet, packnet, resnet
from sfm_depth_ros.networks.model import create_depth_network

SLOW = pytest.mark.slow  # the exporter takes its time for many operations


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few channels and blocks: every kind of operation, in seconds."""
    widths = packnet.PackNetShape((16, 16, 32, 64, 128), 4)
    monkeypatch.setitem(packnet.SHAPES, "packnet01", widths)
    monkeypatch.setattr(packnet, "BLOCKS", (1, 1, 1, 1))
    monkeypatch.setattr(dispnet, "DOWN_CHANNELS", (4, 8, 8, 8, 8, 8, 8))
    monkeypatch.setattr(dispnet, "UP_CHANNELS", (8, 8, 8, 8, 8, 4, 4))
    monkeypatch.setattr(resnet, "STAGE_CHANNELS", (64, 32, 32, 32))
    monkeypatch.setattr(resnet, "BLOCKS", {18: (1, 1, 1, 1), 50: (1, 1, 1, 1)})


def lively(network: nn.Module) -> nn.Module:
    """The network after some training: no weight, bias or statistic where it began."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.mul_(1.3)
            elif tensor.is_floating_point():
                tensor.add_(0.02 * torch.randn(tensor.shape, generator=generator))
    return network.eval()


def assert_equal(content: bytes, network: nn.Module) -> None:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for height, width in ((64, 64), (96, 160), (128, 64)):
        image = np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)
        with torch.inference_mode():
            expected = network.depth(torch.from_numpy(image)).numpy()
        (found,) = session.run(None, {"image": image})
        np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("config", [
    DepthNetworkConfig(name="resnet18"),
    pytest.param(DepthNetworkConfig(name="resnet50"), marks=SLOW),
    pytest.param(DepthNetworkConfig(name="dispnet"), marks=SLOW),
    pytest.param(DepthNetworkConfig(name="dispnet_monodepth"), marks=SLOW),
    pytest.param(DepthNetworkConfig(name="packnet01"), marks=SLOW),
    pytest.param(DepthNetworkConfig(name="packnet01", skip_fusion="add"), marks=SLOW),
], ids=lambda config: f"{config.name}-{config.skip_fusion}")  # fmt: skip
def test_graph_equals_torch_and_takes_new_weights(config: DepthNetworkConfig) -> None:
    torch.manual_seed(0)
    network = create_depth_network(config).eval()
    content = export_onnx(network, "depth")
    assert_equal(content, network)
    operations = {
        (node.domain, node.op_type) for node in onnx.load_model_from_string(content).graph.node
    }
    assert {domain for domain, _ in operations} <= {"", "ai.onnx"}
    assert not {"BatchNormalization", "CastLike"} & {operation for _, operation in operations}
    trained = lively(copy.deepcopy(network))
    assert_equal(update_onnx(content, trained.state_dict()), trained)
