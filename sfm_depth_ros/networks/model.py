# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a depth and a pose network are, and the factories that build them."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.networks.pose import SmallPoseNet
from sfm_depth_ros.networks.small import SmallDepthNet

DEPTH_NETWORKS = {"small": SmallDepthNet}
POSE_NETWORKS = {"small": SmallPoseNet}


class DepthNet(Protocol):
    """A depth network: ``(B, 3, H, W)`` RGB in [0, 1] to depth at the reference focal length."""

    config: DepthNetworkConfig

    def __call__(self, image: Tensor) -> list[Tensor]:
        """Depths at all scales, finest ``(B, 1, H, W)`` first."""
        ...

    def depth(self, image: Tensor) -> Tensor:
        """The finest depth alone, ``(B, 1, H, W)``."""
        ...


class PoseNet(Protocol):
    """A pose network: ``(B, 6, H, W)`` in temporal order to ``(B, 6)`` of ``T_earlier_later``."""

    config: PoseNetworkConfig

    def __call__(self, pair: Tensor) -> Tensor:
        """Motion [tx ty tz rx ry rz] at the reference focal length."""
        ...


def create_depth_network(config: DepthNetworkConfig) -> nn.Module:
    """Build the depth network that ``config.name`` names, with fresh weights."""
    return DEPTH_NETWORKS[config.name](config)


def create_pose_network(config: PoseNetworkConfig) -> nn.Module:
    """Build the pose network that ``config.name`` names, with fresh weights."""
    return POSE_NETWORKS[config.name](config)
