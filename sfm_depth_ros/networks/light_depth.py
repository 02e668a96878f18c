# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A depth network of an efficient encoder and a light decoder, for CPUs and embedded machines."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.config.schema import DepthNetworkConfig
from sfm_depth_ros.networks.blocks import (
    ConvBlock,
    GlobalContext,
    RowContext,
    enlarged,
    start_at_middle_depth,
)
from sfm_depth_ros.networks.depth_network import DepthNetwork
from sfm_depth_ros.networks.efficientnet_lite import EfficientNetLite0
from sfm_depth_ros.networks.efficientnet_weights import load_imagenet_weights

STAGES = (6, 3, 2, 1)  # channels of the decoder at 1/16, 1/8, 1/4 and 1/2, in units of width


class LightDecoder(nn.Module):
    """Joins features from coarse to fine; a disparity at 1/16, 1/8, 1/4 and 1/2."""

    def __init__(self, encoder_channels: list[int], width: int) -> None:
        """Args: channels of the encoder's features at 1/2 to 1/32, finest first; its own width."""
        super().__init__()
        channels = [width * stage for stage in STAGES]
        *skips, coarsest = encoder_channels
        steps = list(pairwise((coarsest, *channels)))  # (below, here)
        self.reduce = nn.ModuleList(ConvBlock(below, here, kernel=1) for below, here in steps)
        self.context = GlobalContext(channels[0])
        self.rows = nn.ModuleList(RowContext(here) for here in channels[:2])
        self.join = nn.ModuleList(
            ConvBlock(here + skip, here) for here, skip in zip(channels, skips[::-1], strict=True)
        )
        self.heads = nn.ModuleList(nn.Conv2d(here, 1, 3, 1, 1) for here in channels)
        self.heads.apply(start_at_middle_depth)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Disparity logits, finest (1/2) first."""
        x, logits = features[-1], []
        for level, skip in enumerate(features[-2::-1]):
            x = self.reduce[level](x)
            if level == 0:
                x = self.context(x)
            up = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.join[level](torch.cat((up, skip), dim=1))
            if level < len(self.rows):
                x = self.rows[level](x)
            logits.append(self.heads[level](x))
        return logits[::-1]


class LightDepthNet(DepthNetwork):
    """Image to depth at the reference focal length, at four scales.

    The finest scale is decoded at half the image's size and enlarged bilinearly.
    """

    def __init__(self, config: DepthNetworkConfig, encoder: EfficientNetLite0) -> None:
        """Args: the network's shape; the encoder."""
        super().__init__(config)
        self.encoder = encoder
        self.decoder = LightDecoder(encoder.channels, config.width)

    def outputs(self, image: Tensor) -> list[Tensor]:
        """Disparities (sigmoid) at 1, 1/4, 1/8 and 1/16 of the image's size."""
        logits = self.decoder(self.encoder(image))
        return [torch.sigmoid(scale) for scale in (enlarged(logits[0]), *logits[1:])]


def efficientnet_encoder(config: DepthNetworkConfig) -> EfficientNetLite0:
    """EfficientNet-Lite0, with ImageNet weights where ``config.pretrained`` names them.

    Raises:
        MissingDependencyError: ``config.pretrained`` is "imagenet" and the package with the
            weights is not installed.
        ModelError: The weights cannot be read or are others.
    """
    encoder = EfficientNetLite0()
    if config.pretrained:
        load_imagenet_weights(encoder, config.pretrained)
    return encoder


def efficientnet_depth_net(config: DepthNetworkConfig) -> LightDepthNet:
    """EfficientNet-Lite0 with the light decoder; raises as :func:`efficientnet_encoder`."""
    return LightDepthNet(config, efficientnet_encoder(config))
