# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pose networks of published projects.

PoseNet of PackNet-SfM (Guizilini et al., CVPR 2020) and PoseExpNet of SfMLearner (Zhou et al.,
CVPR 2017) are plain convolutions that see three images and halve them seven times; the former has
group norm and takes images in [0, 1], the latter has no norm and takes them in [-1, 1]. The pose
network on a ResNet has Monodepth2's topology (Godard et al., ICCV 2019) and PackNet-SfM's
PoseResNet; their conventions differ, see ``pose_convention``.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.config.schema import PoseNetworkConfig
from sfm_depth_ros.networks.pose import OUTPUT_SCALE, PoseNetwork
from sfm_depth_ros.networks.resnet import ResNetEncoder, load_pretrained

CHANNELS = (16, 32, 64, 128, 256, 256, 256)
KERNELS = (7, 5, 3, 3, 3, 3, 3)
GROUPS = 16


class Halving(nn.Module):
    """Convolution of stride 2, optional group norm, ReLU."""

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


WIDTH = 256
LAYERS = {"pose_resnet18": 18, "pose_resnet34": 34, "pose_resnet50": 50}


class PoseDecoder(nn.Module):
    """A 1x1, two 3x3 and a 1x1 convolution, then the mean over places."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Args: channels of the bottleneck, number of outputs."""
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, WIDTH, 1)
        self.first = nn.Conv2d(WIDTH, WIDTH, 3, 1, 1)
        self.second = nn.Conv2d(WIDTH, WIDTH, 3, 1, 1)
        self.head = nn.Conv2d(WIDTH, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, h, w)`` to ``(B, outputs)``."""
        for layer in (self.squeeze, self.first, self.second):
            x = functional.relu(layer(x))
        return self.head(x).mean(dim=(2, 3)) * OUTPUT_SCALE


class PoseResNet(PoseNetwork):
    """Two images to the motion between them."""

    def __init__(self, config: PoseNetworkConfig) -> None:
        """Build it from its shape."""
        encoder = ResNetEncoder(LAYERS[config.name], images=config.images)
        if config.pretrained:
            load_pretrained(encoder, config.pretrained)
        super().__init__(config, encoder.channels)
        self.encoder = encoder
        # Published decoders have outputs for two frames, of which their authors read the first.
        outputs = 6 if config.convention == "native" else 12
        self.decoder = PoseDecoder(encoder.channels[-1], outputs)

    def encode(self, stack: Tensor) -> list[Tensor]:
        """Five feature maps, down to 1/32."""
        return self.encoder(stack)

    def read_motion(self, features: list[Tensor]) -> Tensor:
        """Six numbers; with ``monodepth2`` twelve, with ``packnet_sfm`` the translation first."""
        motion = self.decoder(features[-1])
        if self.config.convention != "packnet_sfm":
            return motion
        return torch.cat((motion[:, 3:6], motion[:, :3]), dim=1)
