# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A trained depth network as a model folder, with the pose network of another model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.model_folder.loading import load_network
from sfm_depth_ros.model_folder.saving import procedural_check_images, save_model
from sfm_depth_ros.networks.model import create_depth_network
from tools.shipped.depth_training import SCRATCH, TrainingSpec, network_config

IMAGENET_NOTE = "ImageNet images (the encoder's weights: EfficientNet-Lite0, Apache-2.0)"


def trained_network(state_files: Sequence[Path], spec: TrainingSpec) -> Any:
    """The depth network in eval mode, its trained weights the mean of the states' averaged ones.

    States of one training lie in one valley: their mean generalises better than the last one
    (Izmailov et al., "Averaging Weights Leads to Wider Optima", UAI 2018).
    """
    averages = [_read(file)["average"] for file in state_files]
    network: Any = create_depth_network(network_config(spec))
    mean = {
        name: torch.stack([average[name].float() for average in averages]).mean(0)
        for name in averages[0]
    }
    unknown = network.load_state_dict(mean, strict=False).unexpected_keys
    if unknown:
        raise ValueError(f"{state_files[0]} is of another network: {unknown[0]}; see --network")
    # The folder holds the encoder's weights: no file is needed to load it.
    network.config = dataclasses.replace(network.config, pretrained="")
    return network.eval()


def export_model(
    state_files: Sequence[Path], pose_model: Path, out: Path, spec: TrainingSpec, images: int
) -> ModelFolder:
    """Write the model folder ``out``.

    Args:
        state_files: States of the training, the newest last; their weights are averaged.
        pose_model: Model folder whose pose network is taken.
        out: The new folder; it must not exist.
        spec: The training: its network and the width of its image.
        images: How many rendered images it was trained on.
    """
    steps = int(_read(state_files[-1])["step"])
    metadata: dict[str, Any] = {
        "preprocessing": {"width": spec.width},
        "trained_on": [f"{images} rendered images"],
        "licence": "Apache-2.0",
        "steps": steps,
        "metrics": {},
    }
    if spec.encoder != SCRATCH:
        metadata["trained_on"].append(IMAGENET_NOTE)
    return save_model(
        out.parent,
        trained_network(state_files, spec),
        load_network(read_model_folder(pose_model), "pose"),
        metadata=metadata,
        check_images=procedural_check_images(spec.width),
        name=out.name,
        half_storage=True,
    )


def _read(state_file: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(state_file, map_location="cpu", weights_only=True)
    return state
