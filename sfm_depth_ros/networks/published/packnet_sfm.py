# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of PackNet-SfM: names of the tensors, architecture by the tensors that are there.

Guizilini et al., "3D Packing for Self-Supervised Monocular Depth Estimation", CVPR 2020. Names are
facts of the file formats; they were read in the project's sources.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from sfm_depth_ros.config.networks import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.networks.model import create_depth_network, create_pose_network
from sfm_depth_ros.networks.packnet import SHAPES
from sfm_depth_ros.networks.published.monodepth2 import (
    CLASSIFIER,
    monodepth2_decoder_names,
    monodepth2_depth_config,
    monodepth2_encoder_names,
    monodepth2_pose_decoder_names,
    monodepth2_pose_encoder_names,
    pose_resnet_config,
)
from sfm_depth_ros.networks.published.name_map import (
    NameMap,
    PublishedFormat,
    PublishedNetwork,
    below,
    encoder_and_decoder,
    own_names,
    sizeless,
)

OLD_NAMES = (
    ("model.model.", "model."),
    ("disp_network.", "depth_net."),
    ("pose_network.", "pose_net."),
)  # packnet-sfm's first versions

_LEVELS = {
    "stages": "conv{up}",
    "packs": "pack{up}",
    "unpacks": "unpack{down}",
    "joins": "iconv{down}",
    "heads": "disp{head}_layer.conv1",
}
_PACKNET_PARTS = {
    "stem": "pre_calc",
    "conv": "conv_base",
    "norm": "normalize",
    "join": "conv",
    "reduce": "conv",
    "volume": "conv3d",
    "first": "conv1",
    "second": "conv2",
    "shortcut": "conv3",
}


def packnet_sfm_depth_names(config: DepthNetworkConfig) -> NameMap:
    """Names in PackNet-SfM's checkpoints, below ``model.depth_net.``.

    Args:
        config: A PackNet (PackNet01, PackNetSlim01 there) or a ResNet (DepthResNet).
    """
    if config.name in SHAPES:
        ours = {_packnet_name(name): name for name in own_names(create_depth_network, config)}
        # With dropout the 1x1 convolution stands in a sequence, and so did it in old versions.
        spellings = {
            name.replace(".conv3.", ".conv3.0."): name for name in ours if ".conv3." in name
        }
        return NameMap(ours, spellings)
    return encoder_and_decoder(
        monodepth2_encoder_names(config), monodepth2_decoder_names(config), CLASSIFIER
    )


def packnet_sfm_pose_names(config: PoseNetworkConfig) -> NameMap:
    """Names in PackNet-SfM's checkpoints, below ``model.pose_net.``.

    Args:
        config: A posenet (PoseNet there) or a pose_resnet (PoseResNet).
    """
    if config.name == "posenet":
        return NameMap(
            {_posenet_name(name): name for name in own_names(create_pose_network, config)}
        )
    return encoder_and_decoder(
        monodepth2_pose_encoder_names(config), monodepth2_pose_decoder_names(config), CLASSIFIER
    )


def packnet_sfm_depth_config(state: Mapping[str, Tensor]) -> DepthNetworkConfig | None:
    """The network whose weights these are, with its published range of depths.

    Args:
        state: Tensors by their names below ``model.depth_net.``.

    Returns:
        None where no known network has such weights.
    """
    stem, join = (state.get(f"{layer}.conv_base.weight") for layer in ("pre_calc", "iconv5"))
    if stem is None or join is None:
        return monodepth2_depth_config(below(state, "encoder."))
    name = "packnet01" if len(stem) == SHAPES["packnet01"].channels[0] else "packnet_slim01"
    fusion = "add" if join.shape[1] < len(join) else "concatenate"
    return DepthNetworkConfig(name=name, skip_fusion=fusion, min_depth=0.5)


def packnet_sfm_pose_config(state: Mapping[str, Tensor]) -> PoseNetworkConfig | None:
    """The network whose weights these are.

    Args:
        state: Tensors by their names below ``model.pose_net.``.

    Returns:
        None where no known network has such weights.
    """
    if "pose_pred.weight" in state:
        return PoseNetworkConfig(name="posenet", convention="packnet_sfm")
    return pose_resnet_config(below(state, "encoder."), "packnet_sfm")


def _packnet_name(ours: str) -> str:
    room, *rest = ours.split(".")
    if room in _LEVELS:
        level = int(rest.pop(0))
        room = _LEVELS[room].format(up=level + 1, down=5 - level, head=4 - level)
    return ".".join(_PACKNET_PARTS.get(part, part) for part in (room, *rest))


def _posenet_name(ours: str) -> str:
    """``features.0.conv.weight`` is ``conv1.0.weight``, its norm ``conv1.1``."""
    room, *rest = ours.split(".")
    if room == "head":
        return ".".join(("pose_pred", *rest))
    level, layer, parameter = rest
    return f"conv{int(level) + 1}.{('conv', 'norm').index(layer)}.{parameter}"


def _newest_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names as packnet-sfm writes them today; its first versions had others."""
    renamed = {}
    for name, tensor in state.items():
        name = name if name.startswith("model.") else f"model.{name}"
        for old, new in OLD_NAMES:
            name = name.replace(old, new)
        renamed[name] = tensor
    return renamed


FORMAT = PublishedFormat(
    networks={
        "depth": PublishedNetwork(
            (("model.depth_net.", packnet_sfm_depth_names),),
            sizeless(packnet_sfm_depth_config),
            "PackNet01 or DepthResNet",
        ),
        "pose": PublishedNetwork(
            (("model.pose_net.", packnet_sfm_pose_names),),
            sizeless(packnet_sfm_pose_config),
            "PoseNet or PoseResNet",
        ),
    },
    by_file=False,
    licence="MIT (the code of packnet-sfm); for the weights see where they came from",
    layout=_newest_names,
)
