# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A trained decoder as a model folder, with the pose network of another model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sfm_depth_ros.config.schema import DepthNetworkConfig
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.model_folder.loading import load_network
from sfm_depth_ros.model_folder.saving import procedural_check_images, save_model
from sfm_depth_ros.networks.model import create_depth_network

IMAGENET_NOTE = "ImageNet images (the encoder's weights: EfficientNet-Lite0, Apache-2.0)"


def trained_network(state_files: Sequence[Path], decoder_width: int) -> Any:
    """The depth network in eval mode, its decoder the mean of the states' averaged ones.

    States of one training lie in one valley: their mean generalises better than the last one
    (Izmailov et al., "Averaging Weights Leads to Wider Optima", UAI 2018).
    """
    decoders = [_read(file)["average"] for file in state_files]
    config = DepthNetworkConfig(
        name="efficientnet_lite0", pretrained="imagenet", width=decoder_width
    )
    network: Any = create_depth_network(config)
    network.decoder.load_state_dict(
        {
            name: torch.stack([decoder[name].float() for decoder in decoders]).mean(0)
            for name in decoders[0]
        }
    )
    # The folder holds the encoder's weights: no file is needed to load it.
    network.config = DepthNetworkConfig(name="efficientnet_lite0", width=decoder_width)
    return network.eval()


def export_model(
    state_files: Sequence[Path],
    pose_model: Path,
    out: Path,
    width: int,
    decoder_width: int,
    images: int,
) -> ModelFolder:
    """Write the model folder ``out``.

    Args:
        state_files: States of the training, the newest last; their decoders are averaged.
        pose_model: Model folder whose pose network is taken.
        out: The new folder; it must not exist.
        width: Width of the network's image in pixels.
        decoder_width: Channels of the decoder's finest stage.
        images: How many rendered images it was trained on.
    """
    steps = int(_read(state_files[-1])["step"])
    metadata = {
        "preprocessing": {"width": width},
        "trained_on": [f"{images} rendered images", IMAGENET_NOTE],
        "licence": "Apache-2.0",
        "steps": steps,
        "metrics": {},
    }
    return save_model(
        out.parent,
        trained_network(state_files, decoder_width),
        load_network(read_model_folder(pose_model), "pose"),
        metadata=metadata,
        check_images=procedural_check_images(width),
        name=out.name,
        half_storage=True,
    )


def _read(state_file: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(state_file, map_location="cpu", weights_only=True)
    return state
