# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Moderator: which pixels of an image pair the camera's motion explains."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.networks.blocks import ConvBlock

INPUTS = 11  # target, source by rigid flow, source by free flow, their difference
CHANNELS = (16, 32, 48)  # at 1/2, 1/4 and 1/8
INITIAL_LOGIT = 2.0  # a fresh mask takes everything for static, with probability 0.88
UNIT = 8.0  # pixels of flow that the network sees as 1


class Moderator(nn.Module):
    """A small U-Net from both explanations of a pair to the probability of the rigid one."""

    def __init__(self) -> None:
        """Build it; fresh weights take everything for static."""
        super().__init__()
        self.down = nn.ModuleList(
            ConvBlock(a, b, stride=2) for a, b in pairwise((INPUTS, *CHANNELS))
        )
        steps = list(pairwise(CHANNELS[::-1]))
        self.join = nn.ModuleList(ConvBlock(below + here, here) for below, here in steps)
        self.head = nn.Conv2d(CHANNELS[0], 1, 3, 1, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        assert self.head.bias is not None  # a plain convolution has one
        nn.init.constant_(self.head.bias, INITIAL_LOGIT)

    def forward(self, target: Tensor, rigid: Tensor, free: Tensor, difference: Tensor) -> Tensor:
        """Probability that a pixel is static.

        Args:
            target: ``(B, 3, H, W)`` RGB in [0, 1].
            rigid: ``(B, 3, H, W)`` the source warped by depth and motion.
            free: ``(B, 3, H, W)`` the source warped by flow.
            difference: ``(B, 2, H, W)`` free minus rigid flow in pixels.

        Returns:
            ``(B, 1, H, W)`` in (0, 1).
        """
        x = torch.cat((target - 0.5, rigid - target, free - target, difference / UNIT), dim=1)
        features = []
        for block in self.down:
            x = block(x)
            features.append(x)
        for join, skip in zip(self.join, features[-2::-1], strict=True):
            x = functional.interpolate(x, skip.shape[-2:], mode="nearest")
            x = join(torch.cat((x, skip), dim=1))
        logit = functional.interpolate(
            self.head(x), target.shape[-2:], mode="bilinear", align_corners=False
        )
        return torch.sigmoid(logit)
