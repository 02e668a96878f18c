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
from sfm_depth_ros.training.online.rehearsal import World


@dataclass(frozen=True)
class TrainerParts:
    """What the online trainer is made of.

    Attributes:
        training: Pace, memory, mixture.
        objective: Weights of the loss terms.
        folder: Model to begin with.
        work_dir: Folder for buffer, rendered snippets and state.
        save: Called as ``save(depth_network, pose_network, metadata=..., parent=...)``; writes a
            model folder.
        deploy: Called with every new folder that depth should run with.
        make_world: From the camera of the network's image to what is rehearsed beside it; None =
            no rehearsal.
    """

    training: OnlineTrainingConfig
    objective: ObjectiveConfig
    folder: ModelFolder
    work_dir: Path
    save: Callable[..., ModelFolder]
    deploy: Callable[[ModelFolder], None]
    make_world: Callable[[Intrinsics], World] | None = None
