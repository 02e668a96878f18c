# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SmallDepthNet: a residual U-Net for CPUs and embedded machines."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.config.schema import DepthNetworkConfig
from sfm_depth_ros.networks.blocks import (
    ConvBlock,
    GlobalContext,
    ResidualBlock,
    enlarged,
    normalised,
    start_at_middle_depth,
)
from sfm_depth_ros.networks.depth_network import DepthNetwork

STAGES = (1, 2, 4, 8, 8)  # channels at 1/2, 1/4, ... 1/32, in units of config.width


class Encoder(nn.Module):
    """Features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image's size."""

    def __init__(self, channels: list[int]) -> None:
        """Args: channels of the five stages."""
        super().__init__()
        self.stem = ConvBlock(3, channels[0], kernel=5, stride=2)
        self.down = nn.ModuleList(ConvBlock(a, b, stride=2) for a, b in pairwise(channels))
        self.refine = nn.ModuleList(ResidualBlock(c) for c in channels[1:])
        self.context = GlobalContext(channels[-1])

    def forward(self, image: Tensor) -> list[Tensor]:
        """``(B, 3, H, W)`` to five feature maps, finest first."""
        features = [self.stem(normalised(image))]
        for down, refine in zip(self.down, self.refine, strict=True):
            features.append(refine(down(features[-1])))
        features[-1] = self.context(features[-1])
        return features


class Decoder(nn.Module):
    """Joins the features from coarse to fine; a disparity at 1/16, 1/8, 1/4 and 1/2."""

    def __init__(self, channels: list[int]) -> None:
        """Args: channels of the encoder's five stages."""
        super().__init__()
        steps = list(pairwise(channels[::-1]))  # (below, here)
        self.reduce = nn.ModuleList(ConvBlock(below, here, kernel=1) for below, here in steps)
        self.join = nn.ModuleList(ConvBlock(2 * here, here) for _, here in steps)
        self.heads = nn.ModuleList(nn.Conv2d(here, 1, 3, 1, 1) for _, here in steps)
        self.heads.apply(start_at_middle_depth)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Disparity logits, finest (1/2) first."""
        x, logits = features[-1], []
        skips = features[-2::-1]
        for reduce, join, head, skip in zip(
            self.reduce, self.join, self.heads, skips, strict=True
        ):
            up = functional.interpolate(reduce(x), scale_factor=2.0, mode="nearest")
            x = join(torch.cat((up, skip), dim=1))
            logits.append(head(x))
        return logits[::-1]


class SmallDepthNet(DepthNetwork):
    """Image to depth at the reference focal length, at four scales.

    The finest scale is decoded at half the image's size and enlarged bilinearly, which costs a
    third of a full-size last stage.
    """

    def __init__(self, config: DepthNetworkConfig) -> None:
        """Build it from its shape."""
        super().__init__(config)
        channels = [config.width * stage for stage in STAGES]
        self.encoder = Encoder(channels)
        self.decoder = Decoder(channels)

    def outputs(self, image: Tensor) -> list[Tensor]:
        """Disparities (sigmoid) at 1, 1/4, 1/8 and 1/16 of the image's size."""
        logits = self.decoder(self.encoder(image))
        return [torch.sigmoid(scale) for scale in (enlarged(logits[0]), *logits[1:])]

    def finest(self, image: Tensor) -> Tensor:
        """The finest disparity, without enlarging or squashing the coarser ones."""
        return torch.sigmoid(enlarged(self.decoder(self.encoder(image))[0]))
