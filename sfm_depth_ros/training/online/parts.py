# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an online trainer is made of: its options, its model, and what it calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sfm_depth_ros.config.schema import ObjectiveConfig, OnlineTrainingConfig
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.training.online.memory import World


@dataclass(frozen=True)
class TrainerParts:
    """What the online trainer is made of."""

    training: OnlineTrainingConfig  # Pace, memory, mixture
    objective: ObjectiveConfig  # Weights of the loss terms
    folder: ModelFolder  # Model to begin with
    work_dir: Path  # Folder for buffer, rendered snippets and state
    # Called as `save(depth_network, pose_network, metadata=..., parent=...)`; writes a model
    # folder
    save: Callable[..., ModelFolder]
    # Called with every new folder that depth should run with
    deploy: Callable[[ModelFolder], None]
    # From the camera of the network's image to what is rehearsed beside it; None = no rehearsal
    make_world: Callable[[Intrinsics], World] | None = None
