# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names and sizes of Lite-Mono's checkpoints: ``encoder.pth`` and ``depth.pth``.

The width and the blocks of the last stage determine the size; the image size written beside the
encoder determines the dilations, which no tensor holds.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.networks.lite_mono import SHAPES
from sfm_depth_ros.networks.model import create_depth_network
from sfm_depth_ros.networks.published import monodepth2
from sfm_depth_ros.networks.published.monodepth2 import IMAGE_SIZE
from sfm_depth_ros.networks.published.name_map import (
    NameMap,
    PublishedFormat,
    PublishedNetwork,
    own_names,
)

WIDE_SIZE = (1024, 320)  # (width, height) of the training with the wider dilations

_STEM = {"conv": "conv", "norm": "bn_gelu.bn"}
_BLOCK = {
    "depthwise": "ddwconv.conv",
    "batch_norm": "bn1",
    "widen": "pwconv1",
    "narrow": "pwconv2",
    "gain": "gamma",
    "positions": "pos_embd.token_projection",
    "attention_norm": "norm_xca",
    "attention_gain": "gamma_xca",
    "attention.temperature": "xca.temperature",
    "attention.qkv": "xca.qkv",
    "attention.project": "xca.proj",
}


def lite_mono_config(
    encoder: Mapping[str, Tensor], size: tuple[int, int]
) -> DepthNetworkConfig | None:
    """The network whose encoder these weights are, with its published range of depths.

    Args:
        encoder: Tensors by their names in ``encoder.pth``.
        size: (width, height) of the images in training.

    Returns:
        None where no known network has such weights.
    """
    channels = tuple(
        len(encoder[f"stages.{stage}.0.gamma"])
        for stage in range(3)
        if f"stages.{stage}.0.gamma" in encoder
    )
    blocks = len({name.split(".")[2] for name in encoder if name.startswith("stages.2.")})
    for name, shape in SHAPES.items():
        if channels == shape.channels and blocks == 3 * shape.rounds + 4:
            wide = shape.widens and size == WIDE_SIZE
            return DepthNetworkConfig(
                name=name, min_depth=0.1, max_depth=100.0, wide_dilations=wide
            )
    return None


def lite_mono_encoder_names(config: DepthNetworkConfig) -> NameMap:
    """Names in ``encoder.pth``; the dilated blocks hold a layer norm that nothing reads."""
    ours = {
        _encoder_name(name): name
        for name in own_names(create_depth_network, config)
        if name.startswith("encoder.")
    }
    unread = {
        f"{name.removesuffix('ddwconv.conv.weight')}norm."
        for name in ours
        if name.endswith("ddwconv.conv.weight")
    }
    return NameMap(ours, beyond=(*IMAGE_SIZE, *sorted(unread)))


def lite_mono_decoder_names(config: DepthNetworkConfig) -> NameMap:
    """Names in ``depth.pth``: a list of all layers, heads last, finest first."""
    ours = {
        _decoder_name(name): name
        for name in own_names(create_depth_network, config)
        if name.startswith("decoder.")
    }
    return NameMap(ours)


def _encoder_name(ours: str) -> str:
    _, room, index, *rest = ours.split(".")
    if room == "stem":
        layer, parameter = rest
        return f"downsample_layers.0.{index}.{_STEM[layer]}.{parameter}"
    if room == "halvings":
        place = "stem2.0" if index == "0" else f"downsample_layers.{index}.0"
        return f"{place}.conv.weight"
    block, *parts = rest
    for own, published in _BLOCK.items():
        names = own.split(".")
        if parts[: len(names)] == names:
            return ".".join(("stages", index, block, published, *parts[len(names) :]))
    return ".".join(("stages", index, block, *parts))


def _decoder_name(ours: str) -> str:
    _, kind, level, parameter = ours.split(".")
    if kind == "heads":
        return f"decoder.{8 - int(level)}.conv.{parameter}"
    return f"decoder.{2 * int(level) + (kind == 'join')}.conv.conv.{parameter}"


FORMAT = PublishedFormat(
    networks={
        "depth": PublishedNetwork(
            (("encoder", lite_mono_encoder_names), ("depth", lite_mono_decoder_names)),
            lite_mono_config,
            "Lite-Mono tiny, small, base or 8M",
        ),
        "pose": monodepth2.POSE,
    },
    by_file=True,
    licence="MIT (Lite-Mono); trained on KITTI, whose terms are its own",
)
