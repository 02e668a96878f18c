# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A trained decoder as a model folder, with the pose network of another model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from sfm_depth_ros.config.schema import DepthNetworkConfig
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.model_folder.loading import load_network
from sfm_depth_ros.model_folder.saving import procedural_check_images, save_model
from sfm_depth_ros.networks.model import create_depth_network

IMAGENET_NOTE = "ImageNet images (the encoder's weights: EfficientNet-Lite0, Apache-2.0)"


def trained_network(state_file: Path, decoder_width: int) -> Any:
    """The depth network with the averaged decoder of a training, in eval mode."""
    state = torch.load(state_file, map_location="cpu", weights_only=True)
    config = DepthNetworkConfig(
        name="efficientnet_lite0", pretrained="imagenet", width=decoder_width
    )
    network: Any = create_depth_network(config)
    network.decoder.load_state_dict(state["average"])
    # The folder holds the encoder's weights: no file is needed to load it.
    network.config = DepthNetworkConfig(name="efficientnet_lite0", width=decoder_width)
    return network.eval()


def export_model(
    state_file: Path, pose_model: Path, out: Path, width: int, decoder_width: int, images: int
) -> ModelFolder:
    """Write the model folder ``out``.

    Args:
        state_file: State of the training.
        pose_model: Model folder whose pose network is taken.
        out: The new folder; it must not exist.
        width: Width of the network's image in pixels.
        decoder_width: Channels of the decoder's finest stage.
        images: How many rendered images it was trained on.
    """
    steps = int(torch.load(state_file, map_location="cpu", weights_only=True)["step"])
    metadata = {
        "preprocessing": {"width": width},
        "trained_on": [f"{images} rendered images", IMAGENET_NOTE],
        "licence": "Apache-2.0",
        "steps": steps,
        "metrics": {},
    }
    return save_model(
        out.parent,
        trained_network(state_file, decoder_width),
        load_network(read_model_folder(pose_model), "pose"),
        metadata=metadata,
        check_images=procedural_check_images(width),
        name=out.name,
        half_storage=True,
    )
