# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of Monodepth2: names of the tensors, architecture by the tensors that are there.

Godard et al., "Digging Into Self-Supervised Monocular Depth Estimation", ICCV 2019. Names are
facts of the file formats; they were read in the project's sources.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from sfm_depth_ros.config.networks import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.networks.model import create_depth_network, create_pose_network
from sfm_depth_ros.networks.published.name_map import (
    NameMap,
    PublishedFormat,
    PublishedNetwork,
    below,
    own_names,
    sizeless,
)

CLASSIFIER = "encoder.fc."  # of ImageNet, which nothing reads
IMAGE_SIZE = ("height", "width", "use_stereo")  # what Monodepth2 writes with the encoder

_DECODER_PLACES = {"reduce": (0, 2), "join": (1, 2), "heads": (13, -1)}  # first, step
_POSE_DECODER = ("squeeze", "first", "second", "head")  # net.0 to net.3


def monodepth2_encoder_names(config: DepthNetworkConfig) -> NameMap:
    """Names in Monodepth2's ``encoder.pth``, which are torchvision's below ``encoder.``."""
    ours = {
        name: name
        for name in own_names(create_depth_network, config)
        if name.startswith("encoder.")
    }
    return NameMap(ours, beyond=(CLASSIFIER, *IMAGE_SIZE))


def monodepth2_decoder_names(config: DepthNetworkConfig) -> NameMap:
    """Names in Monodepth2's ``depth.pth``."""
    return NameMap(
        {
            _decoder_name(name): name
            for name in own_names(create_depth_network, config)
            if name.startswith("decoder.")
        }
    )


def monodepth2_pose_encoder_names(config: PoseNetworkConfig) -> NameMap:
    """Names in Monodepth2's ``pose_encoder.pth``, torchvision's below ``encoder.``."""
    ours = {
        name: name
        for name in own_names(create_pose_network, config)
        if name.startswith("encoder.")
    }
    return NameMap(ours, beyond=(CLASSIFIER,))


def monodepth2_pose_decoder_names(config: PoseNetworkConfig) -> NameMap:
    """Names in Monodepth2's ``pose.pth``."""
    return NameMap(
        {
            f"net.{_POSE_DECODER.index(layer)}.{parameter}": f"decoder.{layer}.{parameter}"
            for _, layer, parameter in (
                name.split(".")
                for name in own_names(create_pose_network, config)
                if name.startswith("decoder.")
            )
        }
    )


def monodepth2_depth_config(encoder: Mapping[str, Tensor]) -> DepthNetworkConfig | None:
    """The network whose encoder these weights are, with its published range of depths.

    Args:
        encoder: Tensors by their names in ``encoder.pth``.

    Returns:
        None where no known network has such weights.
    """
    layers = resnet_layers(below(encoder, "encoder."))
    if layers is None:
        return None
    return DepthNetworkConfig(name=f"resnet{layers}", min_depth=0.1, max_depth=100.0)


def monodepth2_pose_config(encoder: Mapping[str, Tensor]) -> PoseNetworkConfig | None:
    """The network whose encoder these weights are.

    Args:
        encoder: Tensors by their names in ``pose_encoder.pth``.

    Returns:
        None where no known network has such weights.
    """
    return pose_resnet_config(encoder, "monodepth2")


def pose_resnet_config(encoder: Mapping[str, Tensor], convention: str) -> PoseNetworkConfig | None:
    """The pose network on a ResNet whose encoder these weights are, None = no known one."""
    layers = resnet_layers(below(encoder, "encoder."))
    if layers is None:
        return None
    return PoseNetworkConfig(name=f"pose_resnet{layers}", convention=convention)


def resnet_layers(state: Mapping[str, Tensor]) -> int | None:
    """18, 34 or 50 by the blocks that a state with torchvision's names has, None = no ResNet."""
    if "layer4.0.conv1.weight" not in state:
        return None
    blocks = len({name.split(".")[1] for name in state if name.startswith("layer3.")})
    is_bottleneck = "layer3.0.conv3.weight" in state
    return {(2, False): 18, (6, False): 34, (6, True): 50}.get((blocks, is_bottleneck))


def _decoder_name(ours: str) -> str:
    """``decoder.join.0.weight`` and the like; a list of all layers, heads last, finest first."""
    _, kind, level, parameter = ours.split(".")
    first, step = _DECODER_PLACES[kind]
    inner = "conv" if kind == "heads" else "conv.conv"
    return f"decoder.{first + step * int(level)}.{inner}.{parameter}"


POSE = PublishedNetwork(
    (
        ("pose_encoder", monodepth2_pose_encoder_names),
        ("pose", monodepth2_pose_decoder_names),
    ),
    sizeless(monodepth2_pose_config),
    "a separate ResNet on pairs of images",
)
FORMAT = PublishedFormat(
    networks={
        "depth": PublishedNetwork(
            (("encoder", monodepth2_encoder_names), ("depth", monodepth2_decoder_names)),
            sizeless(monodepth2_depth_config),
            "a ResNet-18, 34 or 50",
        ),
        "pose": POSE,
    },
    by_file=True,
    licence="Monodepth2 licence (Niantic): non-commercial use only",
)
