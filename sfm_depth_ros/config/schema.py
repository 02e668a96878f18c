# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every option of the package: the one table that parameters, files and documents come from."""

from sfm_depth_ros.config.networks import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.config.nodes import DepthNodeConfig, NodeConfig, TrainerNodeConfig
from sfm_depth_ros.config.objective import ObjectiveConfig
from sfm_depth_ros.config.online_training import OnlineTrainingConfig
from sfm_depth_ros.config.training import OfflineTrainingConfig, RecipeConfig

__all__ = [
    "DepthNetworkConfig",
    "DepthNodeConfig",
    "NodeConfig",
    "ObjectiveConfig",
    "OfflineTrainingConfig",
    "OnlineTrainingConfig",
    "PoseNetworkConfig",
    "RecipeConfig",
    "TrainerNodeConfig",
]
