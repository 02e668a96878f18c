# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The published projects whose checkpoints can be imported, and what is known of each.

Godard et al., "Digging Into Self-Supervised Monocular Depth Estimation", ICCV 2019 (monodepth2);
Guizilini et al., "3D Packing for Self-Supervised Monocular Depth Estimation", CVPR 2020
(packnet-sfm).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sfm_depth_ros.config.networks import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.networks.published.depth import (
    monodepth2_decoder_names,
    monodepth2_depth_config,
    monodepth2_encoder_names,
    packnet_sfm_depth_config,
    packnet_sfm_depth_names,
)
from sfm_depth_ros.networks.published.name_map import NameMap
from sfm_depth_ros.networks.published.pose import (
    monodepth2_pose_config,
    monodepth2_pose_decoder_names,
    monodepth2_pose_encoder_names,
    packnet_sfm_pose_config,
    packnet_sfm_pose_names,
)

Config = DepthNetworkConfig | PoseNetworkConfig
NORMALISED_FOCAL = 0.58  # of the image's width: KITTI, as both projects trained on it
SIZE = (640, 192)  # (width, height) of both projects' standard models


@dataclass(frozen=True)
class PublishedNetwork:
    """How one network lies in a project's checkpoints."""

    # Where each part lies, with its map of names; the first tells the architecture
    parts: tuple[tuple[str, Callable[[Any], NameMap]], ...]
    # The architecture of the first part's tensors, None = unknown
    config: Callable[[Mapping[str, Tensor]], Config | None]
    hint: str  # A name by which people recognise the network in the file


@dataclass(frozen=True)
class PublishedFormat:
    """A project's checkpoints."""

    networks: Mapping[str, PublishedNetwork]  # Its `"depth"` and its `"pose"` network
    # Whether each part is a file of its own, named as the part, in one folder; else a part is a
    # prefix of the names in one file
    by_file: bool
    licence: str  # Goes into `model.json`
    filter: str = "lanczos"  # How the project scales images down


FORMATS = {
    "packnet-sfm": PublishedFormat(
        networks={
            "depth": PublishedNetwork(
                (("model.depth_net.", packnet_sfm_depth_names),),
                packnet_sfm_depth_config,
                "PackNet01 or DepthResNet",
            ),
            "pose": PublishedNetwork(
                (("model.pose_net.", packnet_sfm_pose_names),),
                packnet_sfm_pose_config,
                "PoseNet or PoseResNet",
            ),
        },
        by_file=False,
        licence="MIT (the code of packnet-sfm); for the weights see where they came from",
    ),
    "monodepth2": PublishedFormat(
        networks={
            "depth": PublishedNetwork(
                (("encoder", monodepth2_encoder_names), ("depth", monodepth2_decoder_names)),
                monodepth2_depth_config,
                "a ResNet-18, 34 or 50",
            ),
            "pose": PublishedNetwork(
                (
                    ("pose_encoder", monodepth2_pose_encoder_names),
                    ("pose", monodepth2_pose_decoder_names),
                ),
                monodepth2_pose_config,
                "a separate ResNet on pairs of images",
            ),
        },
        by_file=True,
        licence="Monodepth2 licence (Niantic): non-commercial use only",
    ),
}
