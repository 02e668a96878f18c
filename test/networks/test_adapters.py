# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Low-rank adapters: begin as nothing, learn, and merge into the plain network."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from sfm_depth_ros.networks.adapters import add_adapters, load_plain, merged, plain_state


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(8, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.Conv2d(32, 1, 1),
    )


IMAGE = torch.linspace(-1, 1, 2 * 8 * 6 * 5).view(2, 8, 6, 5)


def _trained(network: nn.Module) -> nn.Module:
    """A copy with adapters after three steps."""
    adapted = copy.deepcopy(network)
    add_adapters(adapted, rank=2)
    learnt = [p for p in adapted.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(learnt, lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        adapted(IMAGE).square().mean().backward()
        optimiser.step()
    return adapted


def test_adapters_add_nothing_at_first(network: nn.Module) -> None:
    before = network(IMAGE)
    add_adapters(network, rank=2)
    assert torch.equal(network(IMAGE), before)


def test_count_of_learnt_parameters(network: nn.Module) -> None:
    add_adapters(network, rank=2)
    learnt = sum(p.numel() for p in network.parameters() if p.requires_grad)
    # (outputs + inputs * 9) times the rank of both 3x3 convolutions; the 1x1 head is too small
    assert learnt == 2 * (32 + 72) + 2 * (32 + 288)


def test_a_merged_network_computes_the_same_under_plain_names(network: nn.Module) -> None:
    adapted = _trained(network)
    plain = merged(adapted)
    assert plain.state_dict().keys() == network.state_dict().keys()
    torch.testing.assert_close(plain(IMAGE), adapted(IMAGE), rtol=1e-6, atol=1e-7)
    assert not torch.allclose(plain(IMAGE), network(IMAGE), rtol=1e-3)
    for name, value in plain_state(adapted).items():
        torch.testing.assert_close(value, plain.state_dict()[name])


def test_frozen_weights_stay(network: nn.Module) -> None:
    adapted = _trained(network)
    original = adapted[0].parametrizations.weight.original
    assert torch.equal(original, network[0].weight)
    assert torch.equal(adapted[0].bias, network[0].bias)


def test_a_plain_state_replaces_weights_and_adapters(network: nn.Module) -> None:
    adapted = _trained(network)
    load_plain(adapted, network.state_dict())
    assert torch.equal(adapted(IMAGE), network(IMAGE))


def test_the_same_network_gets_the_same_adapters(network: nn.Module) -> None:
    first, second = _trained(network), _trained(network)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
