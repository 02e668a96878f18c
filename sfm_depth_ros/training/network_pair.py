# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks of training as one module: depth, pose, and companions that no robot runs."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from sfm_depth_ros.config.networks import IMAGENET
from sfm_depth_ros.config.schema import DepthNetworkConfig, ObjectiveConfig, PoseNetworkConfig
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.model_folder.loading import load_networks
from sfm_depth_ros.networks.acceleration import channels_last
from sfm_depth_ros.networks.dense_features import FrozenFeatures
from sfm_depth_ros.networks.depth_network import START_DEPTH, start_at_depth
from sfm_depth_ros.networks.flow import FlowNetwork
from sfm_depth_ros.networks.model import create_depth_network, create_pose_network
from sfm_depth_ros.networks.moderator import Moderator


class Companions(nn.Module):
    """Networks that an objective needs beside depth and pose; None where it needs none.

    Their state is part of a run's state. Model folders do not have them.
    """

    def __init__(
        self,
        features: FrozenFeatures | None = None,
        flow: FlowNetwork | None = None,
        moderator: Moderator | None = None,
    ) -> None:
        """Args: the frozen encoder whose features are compared; optical flow; the mask."""
        super().__init__()
        self.features, self.flow, self.moderator = features, flow, moderator


def create_companions(objective: ObjectiveConfig, seed: int) -> Companions:
    """The networks that an objective needs, fresh; the same seed gives the same weights.

    Raises:
        MissingDependencyError: The package with ImageNet weights is not installed.
        ModelError: It holds other weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        wants_features = objective.feature_weight > 0 and objective.features == IMAGENET
        return Companions(
            FrozenFeatures(IMAGENET) if wants_features else None,
            FlowNetwork() if objective.uses_flow else None,
            Moderator() if objective.uses_moderator else None,
        )


class NetworkPair(nn.Module):
    """A depth and a pose network; its state is both states, under ``depth.`` and ``pose.``.

    Args:
        depth: Depth network.
        pose: Pose network.
        companions: Networks that only training has; none where the objective needs none.
    """

    depth: Any  # a module that follows the protocol DepthNet
    pose: Any  # a module that follows the protocol PoseNet

    def __init__(
        self, depth: nn.Module, pose: nn.Module, companions: Companions | None = None
    ) -> None:
        super().__init__()
        self.depth = depth
        self.pose = pose
        self.companions = companions or Companions()

    @torch.no_grad()
    def scale(self, depth_factor: float, translation_factor: float) -> None:
        """Multiply every depth and every translation by a factor of its own."""
        self.depth.log_scale += math.log(depth_factor)
        self.pose.log_scale += math.log(translation_factor)


def fresh_networks(depth: DepthNetworkConfig, pose: PoseNetworkConfig, seed: int) -> NetworkPair:
    """Networks with random weights; the same seed gives the same weights.

    Depths begin at 5 m, and translations in the papers' proportion to them: shorter ones would
    have no parallax, from which depth could learn nothing.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pair = _pair(create_depth_network(depth), create_pose_network(pose))
    if depth.name != "small":  # which begins there by itself
        start_at_depth(pair.depth, depth, START_DEPTH)
    if pose.name != "small":
        pair.scale(1.0, START_DEPTH / _published_start(depth))
    return pair


def _published_start(depth: DepthNetworkConfig) -> float:
    """Metres that a fresh depth network of a paper predicts: the middle of its sigmoid.

    0.2 from SfMLearner to Monodepth2, 1 in PackNet-SfM; the hundredths that their fresh pose
    networks put out are in proportion to it.
    """
    return 2 / (1 / depth.min_depth + 1 / depth.max_depth)


def networks_of(folder: ModelFolder) -> NetworkPair:
    """Networks with the weights of a model folder.

    Raises:
        ModelError: The weights do not fit the architecture.
    """
    return _pair(*load_networks(folder))


def with_companions(networks: NetworkPair, objective: ObjectiveConfig, seed: int) -> NetworkPair:
    """The same networks, and fresh ones that the objective needs beside them.

    Raises:
        MissingDependencyError: The package with the weights of one is not installed.
    """
    return NetworkPair(networks.depth, networks.pose, create_companions(objective, seed))


def keep_statistics(networks: nn.Module) -> None:
    """Let batch norms keep what the weights were trained with, as the online trainer does.

    A handful of snippets of one drive are too few and too alike to estimate it: with them,
    rotations are underestimated by half.
    """
    for module in networks.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _pair(depth: nn.Module, pose: nn.Module) -> NetworkPair:
    return NetworkPair(channels_last(depth), channels_last(pose))
