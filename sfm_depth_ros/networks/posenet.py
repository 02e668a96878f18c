# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pose networks of plain convolutions: PackNet-SfM's PoseNet and SfMLearner's PoseExpNet.

Guizilini et al., "3D Packing for Self-Supervised Monocular Depth Estimation", CVPR 2020; Zhou et
al., "Unsupervised Learning of Depth and Ego-Motion from Video", CVPR 2017. Both see three images
and halve them seven times; the former has group norm and takes images in [0, 1], the latter has
no norm and takes them in [-1, 1].
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.config.schema import PoseNetworkConfig
from sfm_depth_ros.networks.pose import OUTPUT_SCALE, PoseNetwork

CHANNELS = (16, 32, 64, 128, 256, 256, 256)
KERNELS = (7, 5, 3, 3, 3, 3, 3)
GROUPS = 16


class Halving(nn.Module):
    """Convolution of stride 2, group norm where asked, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, has_norm: bool) -> None:
        """Args: channels in and out, kernel size, whether a group norm follows."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, 2, kernel // 2)
        self.norm = nn.GroupNorm(GROUPS, outputs) if has_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, outputs, H / 2, W / 2)``."""
        return functional.relu(self.norm(self.conv(x)))


class PackNetPoseNet(PoseNetwork):
    """Three images to the motions between them."""

    has_norm = True

    def __init__(self, config: PoseNetworkConfig) -> None:
        """Build it from its shape."""
        super().__init__(config, CHANNELS)
        channels = (3 * self.images, *CHANNELS)
        self.features = nn.ModuleList(
            Halving(a, b, kernel, self.has_norm)
            for (a, b), kernel in zip(pairwise(channels), KERNELS, strict=True)
        )
        self.head = nn.Conv2d(CHANNELS[-1], 6 * (self.images - 1), 1)
        self.features.apply(_initialise)
        self.head.apply(_initialise)

    def encode(self, stack: Tensor) -> list[Tensor]:
        """Seven feature maps, down to 1/128."""
        features = []
        for block in self.features:
            stack = block(stack)
            features.append(stack)
        return features

    def read_motion(self, features: list[Tensor]) -> Tensor:
        """Mean over places of a 1x1 convolution."""
        return self.head(features[-1]).mean(dim=(2, 3)) * OUTPUT_SCALE


class PoseExpNet(PackNetPoseNet):
    """The same without group norm; its explainability head is its authors'."""

    has_norm = False

    def encode(self, stack: Tensor) -> list[Tensor]:
        """Seven feature maps, down to 1/128."""
        return super().encode(stack * 2 - 1)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
