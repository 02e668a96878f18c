# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Companion networks: those that training needs beside depth and pose, and no robot."""

from __future__ import annotations

import torch
from torch import nn

from sfm_depth_ros.config.networks import IMAGENET
from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.networks.dense_features import FrozenFeatures
from sfm_depth_ros.networks.flow import FlowNetwork
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
