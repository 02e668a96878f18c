# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folding batch norms changes no number and no name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.networks.acceleration import find_batch_norms, fold_batch_norm, fold_state
from sfm_depth_ros.networks.model import create_depth_network, create_pose_network


class Shared(nn.Module):
    """One convolution whose output is read twice: its norm must stay."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4, eps=1e-3)
        self.second = nn.Conv2d(4, 4, 1, bias=True)
        self.second_norm = nn.BatchNorm2d(4, eps=1e-2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y + self.second_norm(self.second(self.norm(y)))


def with_statistics(network: nn.Module) -> nn.Module:
    """Give every batch norm weights and statistics that do something."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias.data):
                tensor.copy_(0.3 * torch.randn(tensor.shape, generator=generator))
            for tensor in (module.running_var, module.weight.data):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return network.eval()


@pytest.mark.parametrize("kind", ["depth", "pose"])
@torch.no_grad()
def test_the_output_is_the_same(kind: str) -> None:
    torch.manual_seed(0)
    network = (
        create_depth_network(DepthNetworkConfig(width=8))
        if kind == "depth"
        else create_pose_network(PoseNetworkConfig(width=8))
    )
    with_statistics(network).train()
    folded = fold_batch_norm(network)
    assert network.training
    assert not folded.training
    network.eval()
    image = torch.rand(2, 3 if kind == "depth" else 6, 64, 96)
    expected, found = network(image), folded(image)
    pairs = zip(expected, found, strict=True) if kind == "depth" else [(expected, found)]
    for a, b in pairs:
        torch.testing.assert_close(b, a, rtol=1e-5, atol=1e-6)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())


@torch.no_grad()
def test_norms_behind_a_shared_convolution_stay() -> None:
    torch.manual_seed(0)
    network = with_statistics(Shared())
    assert [*find_batch_norms(network)] == ["second"]
    folded = fold_batch_norm(network)
    image = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(folded(image), network(image), rtol=1e-5, atol=1e-6)
    assert isinstance(folded.norm, nn.BatchNorm2d)


def test_a_number_by_hand() -> None:
    state = {
        "conv.weight": torch.full((1, 1, 1, 1), 2.0),
        "conv.bias": torch.tensor([1.0]),
        "norm.weight": torch.tensor([3.0]),
        "norm.bias": torch.tensor([0.5]),
        "norm.running_mean": torch.tensor([5.0]),
        "norm.running_var": torch.tensor([4.0]),
        "norm.num_batches_tracked": torch.tensor(7),
    }
    network = nn.Sequential()
    network.add_module("conv", nn.Conv2d(1, 1, 1))
    network.add_module("norm", nn.BatchNorm2d(1, eps=0.0))
    folded = fold_state(state, find_batch_norms(network))
    assert {name: value.item() for name, value in folded.items()} == {
        "conv.weight": 3.0,
        "conv.bias": (1.0 - 5.0) * 1.5 + 0.5,
    }


def test_a_state_of_another_network_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    with pytest.raises(ModelError, match=r"1\.running_var"):
        fold_state(
            {
                name: value
                for name, value in network.state_dict().items()
                if name != "1.running_var"
            },
            find_batch_norms(network),
        )


def test_a_network_without_norms_stays() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU())
    assert find_batch_norms(network) == {}
    assert torch.equal(fold_batch_norm(network)[0].weight, network[0].weight)
