# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fresh networks: translations in proportion to the depths that they begin with."""

from __future__ import annotations

import math

import pytest
import torch

from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.networks.model import create_pose_network
from sfm_depth_ros.training.network_pair import fresh_networks


@pytest.mark.parametrize(
    ("name", "nearest", "times"),
    [("pose_expnet", 0.1, 25.0), ("pose_resnet18", 0.1, 25.0), ("posenet", 0.5, 5.0)],
)
def test_published_pose_networks_begin_in_metres(name: str, nearest: float, times: float) -> None:
    config = PoseNetworkConfig(name=name)
    torch.manual_seed(0)
    as_published = create_pose_network(config).eval()
    depth = DepthNetworkConfig(width=8, min_depth=nearest)
    fresh = fresh_networks(depth, config, 0).pose.eval()
    fresh.load_state_dict(as_published.state_dict() | {"log_scale": fresh.log_scale.detach()})
    # in double precision: a component near zero has few digits left in single
    stack = torch.rand(1, 3 * config.images, 64, 64).double()
    with torch.no_grad():
        ratio = (fresh.double()(stack) / as_published.double()(stack)).view(-1, 2, 3).float()
    # 5 m instead of the papers' 0.2 or 1, the middle of a sigmoid; rotations have no unit
    expected = torch.full_like(ratio[:, 0], times * (1 + nearest / depth.max_depth))
    torch.testing.assert_close(ratio[:, 0], expected)
    torch.testing.assert_close(ratio[:, 1], torch.ones_like(ratio[:, 1]))


def test_the_small_one_begins_as_it_is() -> None:
    pair = fresh_networks(DepthNetworkConfig(width=8), PoseNetworkConfig(width=8), 0)
    assert pair.pose.log_scale == pair.depth.log_scale == 0
    pair.scale(2.0, 3.0)
    assert pair.pose.log_scale.item() == pytest.approx(math.log(3.0))
