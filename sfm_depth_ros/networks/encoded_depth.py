# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A depth network of an image encoder and the Monodepth2 decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfm_depth_ros.config.networks import TIMM, DepthNetworkConfig
from sfm_depth_ros.geometry.depth import disparity_to_depth
from sfm_depth_ros.networks.image_size import check_image_size
from sfm_depth_ros.networks.pretrained import load_pretrained
from sfm_depth_ros.networks.resnet import ResNetEncoder
from sfm_depth_ros.networks.resnet_decoder import SkipDecoder
from sfm_depth_ros.networks.timm_encoder import TimmEncoder

SMALLEST = 64  # features at 1/32 must be at least 2x2: they are mirrored at the border


class EncodedDepthNet(nn.Module):
    """Image to depth at the reference focal length, at 1, 1/2, 1/4 and 1/8 of its size.

    Inverse depth is linear in the sigmoid between ``1 / max_depth`` and ``1 / min_depth`` (in
    the paper 0.1 and 100). ``log_scale`` multiplies every depth.
    """

    def __init__(self, config: DepthNetworkConfig, encoder: ResNetEncoder | TimmEncoder) -> None:
        """Args: the network's shape; the encoder, with features at 1/4 to 1/32 at least."""
        super().__init__()
        self.config = config
        self.encoder = encoder
        self.decoder = SkipDecoder(encoder.channels)
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Depth at all scales.

        Args:
            image: ``(B, 3, H, W)`` RGB in [0, 1]; H and W are multiples of 32, at least 64.

        Returns:
            Depths in metres at the reference focal length, finest first: ``(B, 1, H, W)``,
            ``(B, 1, H/2, W/2)``, ``(B, 1, H/4, W/4)``, ``(B, 1, H/8, W/8)``.

        Raises:
            DataError: The image's size does not fit.
        """
        check_image_size(image, minimum=SMALLEST)
        return [self._to_depth(logits) for logits in self.decoder(self.encoder(image))]

    def depth(self, image: Tensor) -> Tensor:
        """The finest depth alone: ``(B, 3, H, W)`` to ``(B, 1, H, W)``."""
        check_image_size(image, minimum=SMALLEST)
        return self._to_depth(self.decoder.finest(self.encoder(image)))

    def _to_depth(self, logits: Tensor) -> Tensor:
        config = self.config
        depth = disparity_to_depth(torch.sigmoid(logits), config.min_depth, config.max_depth)
        return depth * torch.exp(self.log_scale)


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
