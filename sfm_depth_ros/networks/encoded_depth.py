# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A depth network of an image encoder and the Monodepth2 decoder."""

from __future__ import annotations

import torch
from torch import Tensor

from sfm_depth_ros.config.networks import TIMM, DepthNetworkConfig
from sfm_depth_ros.networks.depth_network import DepthNetwork
from sfm_depth_ros.networks.pretrained import load_pretrained
from sfm_depth_ros.networks.resnet import ResNetEncoder
from sfm_depth_ros.networks.resnet_decoder import SkipDecoder
from sfm_depth_ros.networks.timm_encoder import TimmEncoder


class EncodedDepthNet(DepthNetwork):
    """Image to depth at the reference focal length, at 1, 1/2, 1/4 and 1/8 of its size.

    Inverse depth is linear in the sigmoid between ``1 / max_depth`` and ``1 / min_depth`` (in
    the paper 0.1 and 100).
    """

    smallest_side = 64  # features at 1/32 must be at least 2x2: they are mirrored at the border

    def __init__(self, config: DepthNetworkConfig, encoder: ResNetEncoder | TimmEncoder) -> None:
        """Args: the network's shape; the encoder, with features at 1/4 to 1/32 at least."""
        super().__init__(config)
        self.encoder = encoder
        self.decoder = SkipDecoder(encoder.channels)

    def outputs(self, image: Tensor) -> list[Tensor]:
        """Disparities (sigmoid) at 1, 1/2, 1/4 and 1/8 of the image's size."""
        return [torch.sigmoid(logits) for logits in self.decoder(self.encoder(image))]

    def finest(self, image: Tensor) -> Tensor:
        """The finest disparity, without the heads of the coarser ones."""
        return torch.sigmoid(self.decoder.finest(self.encoder(image)))


def resnet_depth_net(config: DepthNetworkConfig) -> EncodedDepthNet:
    """Monodepth2's network with the ResNet that ``config.name`` names.

    Raises:
        ModelError: ``config.pretrained`` cannot be read or is of another encoder.
    """
    encoder = ResNetEncoder(int(config.name.removeprefix("resnet")))
    if config.pretrained:
        load_pretrained(encoder, config.pretrained)
    return EncodedDepthNet(config, encoder)


def timm_depth_net(config: DepthNetworkConfig) -> EncodedDepthNet:
    """Monodepth2's decoder behind the timm encoder that ``config.name`` names.

    Raises:
        MissingDependencyError: timm cannot be imported.
        ConfigError: timm does not know the encoder, or its features do not fit.
    """
    return EncodedDepthNet(config, TimmEncoder(config.name.removeprefix(TIMM)))
