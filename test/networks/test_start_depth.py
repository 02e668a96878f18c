# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth that fresh networks begin with."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sfm_depth_ros.config.schema import DepthNetworkConfig
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.networks.depth_network import start_at_depth
from sfm_depth_ros.networks.model import create_depth_network

LARGE = pytest.param("packnet_slim01", marks=pytest.mark.slow)


@pytest.mark.parametrize("name", ["small", "resnet18", "dispnet", LARGE])
def test_a_fresh_network_says_the_depth(name: str) -> None:
    torch.manual_seed(0)
    config = DepthNetworkConfig(name=name, min_depth=0.5)
    network = create_depth_network(config).eval()
    image = torch.rand(1, 3, 64, 128)
    with torch.no_grad():
        for depth in (5.0, 20.0):
            start_at_depth(network, config, depth)
            for scale in network(image):
                assert depth / 2 < scale.median().item() < 2 * depth


def test_a_depth_out_of_range_is_brought_inside() -> None:
    config = DepthNetworkConfig(min_depth=0.5, max_depth=4.0)
    network = create_depth_network(config)
    start_at_depth(network, config, 100.0)
    assert all(parameter.isfinite().all() for parameter in network.parameters())
    with torch.no_grad():
        assert 3.0 < network.depth(torch.rand(1, 3, 64, 64)).median().item() < 4.0


def test_a_network_without_heads_is_refused() -> None:
    with pytest.raises(ConfigError, match="heads"):
        start_at_depth(nn.Conv2d(3, 1, 1), DepthNetworkConfig(), 5.0)
