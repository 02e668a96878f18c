# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The encoders of the depth networks by name, for decoders other than their own."""

from __future__ import annotations

from torch import nn

from sfm_depth_ros.config.schema import DepthNetworkConfig
from sfm_depth_ros.networks.encoded_depth import resnet_encoder, timm_encoder
from sfm_depth_ros.networks.light_depth import efficientnet_encoder
from sfm_depth_ros.networks.lite_mono import SHAPES, lite_mono_encoder
from sfm_depth_ros.networks.small import STAGES, Encoder
from sfm_depth_ros.networks.subpixel import SubPixelDepthNet


def create_encoder(config: DepthNetworkConfig) -> tuple[nn.Module, list[int]]:
    """An encoder with fresh or ImageNet weights, and the channels of its feature maps.

    Args:
        config: Shape of the depth network whose encoder it is.

    Returns:
        Image to feature maps, finest first, and their channels from 1/2 of the image's size on; 0
        for a size that it lacks.

    Raises:
        ModelError: ``config.pretrained`` cannot be read or is of another encoder.
        MissingDependencyError: A package that it needs is not installed.
        ConfigError: The network has no encoder of its own.
    """
    if config.name == "small":
        channels = [config.width * stage for stage in STAGES]
        return Encoder(channels), channels
    if config.name.startswith("lite_mono"):
        return lite_mono_encoder(config), [0, *SHAPES[config.name].channels]
    if config.name.startswith("efficientnet"):
        light = efficientnet_encoder(config)
        return light, list(light.channels)
    create = resnet_encoder if config.name.startswith("resnet") else timm_encoder
    encoder = create(config)
    return encoder, list(encoder.channels)


def subpixel_depth_net(config: DepthNetworkConfig) -> SubPixelDepthNet:
    """The encoder that ``config.name`` names with the sub-pixel decoder; raises as above."""
    return SubPixelDepthNet(config, *create_encoder(config))
