# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of the online trainer that its surroundings give it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfm_depth_ros.config.schema import ObjectiveConfig, OnlineTrainingConfig
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.training.online.rehearsal import World


@dataclass(frozen=True)
class TrainerParts:
    """Parts of the online trainer."""

    training: OnlineTrainingConfig  # Pace, memory, mixture
    objective: ObjectiveConfig  # Weights of the loss terms
    folder: ModelFolder  # Model to begin with
    work_dir: Path  # Folder for buffer, rendered snippets and state
    # Called as `save(depth_network, pose_network, metadata=..., parent=...)`; writes a model
    # folder
    save: Callable[..., ModelFolder]
    # Called with every new folder that depth should run with
    deploy: Callable[[ModelFolder], None]
    # From the camera of the network's image to the world of rehearsal; None = no rehearsal
    make_world: Callable[[Intrinsics], World] | None = None
    # Pose of the camera in a base frame on the floor, `(4, 4)`; None as a value = not known
    mounting: Callable[[], np.ndarray | None] | None = None
