# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of the depth networks in the checkpoints of PackNet-SfM and of Monodepth2.

Names are facts of the file formats; they were read in the projects' sources.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.networks.model import create_depth_network
from sfm_depth_ros.networks.packnet import SHAPES
from sfm_depth_ros.networks.published.name_map import NameMap, below, encoder_and_decoder

CLASSIFIER = "encoder.fc."  # of ImageNet, which nothing reads
IMAGE_SIZE = ("height", "width", "use_stereo")  # what Monodepth2 writes beside the encoder

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
_DECODER_PLACES = {"reduce": (0, 2), "join": (1, 2), "heads": (13, -1)}  # first, step


def packnet_sfm_depth_names(config: DepthNetworkConfig) -> NameMap:
    """Names in PackNet-SfM's checkpoints, below ``model.depth_net.``.

    Args:
        config: A PackNet (PackNet01, PackNetSlim01 there) or a ResNet (DepthResNet).
    """
    if config.name in SHAPES:
        ours = {_packnet_name(name): name for name in _names(config)}
        # With dropout the 1x1 convolution stands in a sequence, and so did it in old versions.
        spellings = {
            name.replace(".conv3.", ".conv3.0."): name for name in ours if ".conv3." in name
        }
        return NameMap(ours, spellings)
    return encoder_and_decoder(
        monodepth2_encoder_names(config), monodepth2_decoder_names(config), CLASSIFIER
    )


def monodepth2_encoder_names(config: DepthNetworkConfig) -> NameMap:
    """Names in Monodepth2's ``encoder.pth``, which are torchvision's below ``encoder.``."""
    ours = {name: name for name in _names(config) if name.startswith("encoder.")}
    return NameMap(ours, beyond=(CLASSIFIER, *IMAGE_SIZE))


def monodepth2_decoder_names(config: DepthNetworkConfig) -> NameMap:
    """Names in Monodepth2's ``depth.pth``."""
    return NameMap(
        {_decoder_name(name): name for name in _names(config) if name.startswith("decoder.")}
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


def resnet_layers(state: Mapping[str, Tensor]) -> int | None:
    """18, 34 or 50 by the blocks that a state with torchvision's names has, None = no ResNet."""
    if "layer4.0.conv1.weight" not in state:
        return None
    blocks = len({name.split(".")[1] for name in state if name.startswith("layer3.")})
    is_bottleneck = "layer3.0.conv3.weight" in state
    return {(2, False): 18, (6, False): 34, (6, True): 50}.get((blocks, is_bottleneck))


def _names(config: DepthNetworkConfig) -> list[str]:
    """Names of our network's tensors; built without memory for their numbers."""
    with torch.device("meta"):
        network = create_depth_network(config)
    return [name for name in network.state_dict() if name != "log_scale"]


def _packnet_name(ours: str) -> str:
    room, *rest = ours.split(".")
    if room in _LEVELS:
        level = int(rest.pop(0))
        room = _LEVELS[room].format(up=level + 1, down=5 - level, head=4 - level)
    return ".".join(_PACKNET_PARTS.get(part, part) for part in (room, *rest))


def _decoder_name(ours: str) -> str:
    """``decoder.join.0.weight`` and the like; a list of all layers, heads last, finest first."""
    _, kind, level, parameter = ours.split(".")
    first, step = _DECODER_PLACES[kind]
    inner = "conv" if kind == "heads" else "conv.conv"
    return f"decoder.{first + step * int(level)}.{inner}.{parameter}"
