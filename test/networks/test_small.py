# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The small networks: sizes, shapes, scale as one number, gradients everywhere."""

from __future__ import annotations

import pytest
import torch

from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.networks.model import create_depth_network, create_pose_network


def parameters_of(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_together_at_most_two_million_parameters() -> None:
    depth = create_depth_network(DepthNetworkConfig())
    pose = create_pose_network(PoseNetworkConfig())
    assert parameters_of(depth) + parameters_of(pose) <= 2_000_000


@pytest.mark.parametrize(("height", "width"), [(32, 64), (96, 320)])
def test_depth_scales_and_range(height: int, width: int) -> None:
    config = DepthNetworkConfig(width=8)
    network = create_depth_network(config).eval()
    depths = network(torch.rand(2, 3, height, width))
    sizes = [tuple(d.shape) for d in depths]
    assert sizes == [(2, 1, height // s, width // s) for s in (1, 4, 8, 16)]
    assert all(bool((d >= config.min_depth).all()) for d in depths)
    assert all(bool((d <= config.max_depth).all()) for d in depths)


def test_depth_is_the_finest_scale() -> None:
    network = create_depth_network(DepthNetworkConfig(width=8)).eval()
    image = torch.rand(1, 3, 64, 96)
    torch.testing.assert_close(network.depth(image), network(image)[0])


def test_log_scale_multiplies_every_depth() -> None:
    network = create_depth_network(DepthNetworkConfig(width=8)).eval()
    image = torch.rand(1, 3, 32, 64)
    before = network(image)
    with torch.no_grad():
        network.log_scale.fill_(0.5)
    for old, new in zip(before, network(image), strict=True):
        torch.testing.assert_close(new, old * torch.tensor(0.5).exp())


def test_pose_log_scale_multiplies_translation_alone() -> None:
    network = create_pose_network(PoseNetworkConfig(width=8)).eval()
    pair = torch.rand(3, 6, 64, 96)
    before = network(pair)
    assert before.shape == (3, 6)
    with torch.no_grad():
        network.log_scale.fill_(-1.0)
    after = network(pair)
    torch.testing.assert_close(after[:, :3], before[:, :3] * torch.tensor(-1.0).exp())
    torch.testing.assert_close(after[:, 3:], before[:, 3:])


def test_every_parameter_gets_a_gradient() -> None:
    depth = create_depth_network(DepthNetworkConfig(width=8))
    pose = create_pose_network(PoseNetworkConfig(width=8))
    total = sum(d.log().mean() for d in depth(torch.rand(2, 3, 32, 64)))
    (total + pose(torch.rand(2, 6, 64, 128)).square().sum()).backward()
    for network in (depth, pose):
        silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert silent == []


def test_same_seed_same_network() -> None:
    torch.manual_seed(3)
    first = create_depth_network(DepthNetworkConfig(width=8))
    torch.manual_seed(3)
    second = create_depth_network(DepthNetworkConfig(width=8))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
