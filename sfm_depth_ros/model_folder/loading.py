# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks in torch from a model folder."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.networks.model import create_depth_network, create_pose_network


def load_network(folder: ModelFolder, kind: str) -> nn.Module:
    """Build one network and give it the folder's weights, in eval mode.

    Args:
        folder: Model folder.
        kind: ``"depth"`` or ``"pose"``.

    Raises:
        ModelError: The weights do not fit the architecture.
    """
    # The folder's own weights follow: the file that training began with may be gone.
    if kind == "depth":
        network = create_depth_network(replace(folder.depth_config, pretrained=""))
        weights = folder.depth_weights()
    elif kind == "pose":
        network = create_pose_network(replace(folder.pose_config, pretrained=""))
        weights = folder.pose_weights()
    else:
        raise ValueError(f"kind: expected 'depth' or 'pose', got {kind!r}")
    try:
        network.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    except RuntimeError as error:
        raise ModelError(
            f"{folder.path}: the {kind} weights do not fit the architecture that "
            f"model.json names ({error}); choose another model"
        ) from error
    return network.eval()


def load_networks(folder: ModelFolder) -> tuple[nn.Module, nn.Module]:
    """Depth and pose network of a model folder, in eval mode.

    Raises:
        ModelError: There is no pose network, or weights do not fit their architecture.
    """
    return load_network(folder, "depth"), load_network(folder, "pose")
