# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of the pose networks in the checkpoints of PackNet-SfM and of Monodepth2.

Names are facts of the file formats; they were read in the projects' sources.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sfm_depth_ros.config.networks import PoseNetworkConfig
from sfm_depth_ros.networks.model import create_pose_network
from sfm_depth_ros.networks.published.depth import CLASSIFIER, resnet_layers
from sfm_depth_ros.networks.published.name_map import NameMap, below, encoder_and_decoder

_DECODER = ("squeeze", "first", "second", "head")  # net.0 to net.3


def packnet_sfm_pose_names(config: PoseNetworkConfig) -> NameMap:
    """Names in PackNet-SfM's checkpoints, below ``model.pose_net.``.

    Args:
        config: A posenet (PoseNet there) or a pose_resnet (PoseResNet).
    """
    if config.name == "posenet":
        return NameMap({_posenet_name(name): name for name in _names(config)})
    return encoder_and_decoder(
        monodepth2_pose_encoder_names(config), monodepth2_pose_decoder_names(config), CLASSIFIER
    )


def monodepth2_pose_encoder_names(config: PoseNetworkConfig) -> NameMap:
    """Names in Monodepth2's ``pose_encoder.pth``, torchvision's below ``encoder.``."""
    ours = {name: name for name in _names(config) if name.startswith("encoder.")}
    return NameMap(ours, beyond=(CLASSIFIER,))


def monodepth2_pose_decoder_names(config: PoseNetworkConfig) -> NameMap:
    """Names in Monodepth2's ``pose.pth``."""
    return NameMap(
        {
            f"net.{_DECODER.index(layer)}.{parameter}": f"decoder.{layer}.{parameter}"
            for _, layer, parameter in (
                name.split(".") for name in _names(config) if name.startswith("decoder.")
            )
        }
    )


def packnet_sfm_pose_config(state: Mapping[str, Tensor]) -> PoseNetworkConfig | None:
    """The network whose weights these are.

    Args:
        state: Tensors by their names below ``model.pose_net.``.

    Returns:
        None where no known network has such weights.
    """
    if "pose_pred.weight" in state:
        return PoseNetworkConfig(name="posenet", convention="packnet_sfm")
    return _resnet_config(below(state, "encoder."), "packnet_sfm")


def monodepth2_pose_config(encoder: Mapping[str, Tensor]) -> PoseNetworkConfig | None:
    """The network whose encoder these weights are.

    Args:
        encoder: Tensors by their names in ``pose_encoder.pth``.

    Returns:
        None where no known network has such weights.
    """
    return _resnet_config(encoder, "monodepth2")


def _resnet_config(encoder: Mapping[str, Tensor], convention: str) -> PoseNetworkConfig | None:
    layers = resnet_layers(below(encoder, "encoder."))
    if layers is None:
        return None
    return PoseNetworkConfig(name=f"pose_resnet{layers}", convention=convention)


def _names(config: PoseNetworkConfig) -> list[str]:
    """Names of our network's tensors; built without memory for their numbers."""
    with torch.device("meta"):
        network = create_pose_network(config)
    return [name for name in network.state_dict() if name != "log_scale"]


def _posenet_name(ours: str) -> str:
    """``features.0.conv.weight`` is ``conv1.0.weight``, its norm ``conv1.1``."""
    room, *rest = ours.split(".")
    if room == "head":
        return ".".join(("pose_pred", *rest))
    level, layer, parameter = rest
    return f"conv{int(level) + 1}.{('conv', 'norm').index(layer)}.{parameter}"
