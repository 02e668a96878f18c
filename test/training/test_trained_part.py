# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which weights learn, for every part that can be chosen, and the pull to the first ones."""

from __future__ import annotations

import copy

import pytest
import torch

from sfm_depth_ros.config.networks import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.training.network_pair import NetworkPair, fresh_networks
from sfm_depth_ros.training.optimiser import Rates, WeightAverage, create_optimiser, take_step
from sfm_depth_ros.training.trained_part import WeightAnchor, choose_trained

IMAGE = torch.linspace(0, 1, 3 * 32 * 64).view(1, 3, 32, 64)


def _pair(name: str = "small") -> NetworkPair:
    return fresh_networks(DepthNetworkConfig(name=name, width=8), PoseNetworkConfig(width=8), 0)


def _changed_by_a_step(networks: NetworkPair, part: str) -> set[str]:
    """Names of the averaged depth network's tensors that a step moves."""
    networks = copy.deepcopy(networks).train()
    choose_trained(networks, part)
    average = WeightAverage(networks, 0.5)
    before = copy.deepcopy(average.network.state_dict())
    optimiser = create_optimiser(networks, Rates(1e-3))
    for _ in range(2):  # an adapter's second factor has no gradient in the first step
        assert take_step(optimiser, networks.depth(IMAGE)[0].log().mean().square(), 1.0)
        average.update(networks)
    after = average.network.state_dict()
    return {
        name.removeprefix("depth.")
        for name, value in after.items()
        if not torch.equal(value, before[name])
    }


def test_decoder_leaves_the_encoder_as_it_is() -> None:
    changed = _changed_by_a_step(_pair(), "decoder")
    assert "log_scale" in changed
    assert any(name.startswith("decoder.join") for name in changed)
    assert not any(name.startswith("encoder.") for name in changed)


def test_normalisation_moves_norms_and_scale_alone() -> None:
    networks = _pair()
    norms = {
        f"{name}.{leaf}"
        for name, module in networks.depth.named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
        for leaf in ("weight", "bias")
    }
    changed = _changed_by_a_step(networks, "normalisation")
    assert "log_scale" in changed
    assert changed <= norms | {"log_scale"}
    assert len(changed) > len(norms) / 2


def test_adapters_move_weights_but_no_statistics() -> None:
    changed = _changed_by_a_step(_pair(), "adapters")
    assert changed
    assert all(name == "log_scale" or name.endswith("weight") for name in changed)
    assert not any("running" in name for name in changed)


def test_all_moves_statistics_too() -> None:
    changed = _changed_by_a_step(_pair(), "all")
    assert any("running_mean" in name for name in changed)
    assert any(name.startswith("encoder.") for name in changed)


def test_the_pose_network_always_learns() -> None:
    networks = _pair()
    choose_trained(networks, "decoder")
    assert all(p.requires_grad for p in networks.pose.parameters())


def test_a_network_without_an_encoder_is_refused() -> None:
    with pytest.raises(ConfigError, match="trained_part: decoder needs a depth network"):
        choose_trained(_pair("dispnet"), "decoder")


def test_the_anchor_takes_back_its_share() -> None:
    network = torch.nn.Linear(4, 3)
    anchor = WeightAnchor(network, strength=100.0)
    with torch.no_grad():
        network.weight += 1.0
    first = network.weight.detach().clone() - 1.0
    anchor.pull(rate=1e-3)
    torch.testing.assert_close(network.weight.detach(), first + 0.9)


def test_the_anchor_lets_go_of_metric_scales() -> None:
    networks = _pair()
    anchor = WeightAnchor(networks, strength=1.0)
    networks.scale(2.0, 3.0)
    before = networks.depth.log_scale.item()
    anchor.pull(rate=1.0)
    assert networks.depth.log_scale.item() == before


@pytest.mark.parametrize(("name", "learns"), [("efficientnet_lite0", False), ("small", True)])
def test_auto_spares_an_encoder_with_published_weights(name, learns) -> None:
    networks = _pair(name)
    choose_trained(networks, "auto")
    assert {p.requires_grad for p in networks.depth.encoder.parameters()} == {learns}
    assert all(p.requires_grad for p in networks.depth.decoder.parameters())
