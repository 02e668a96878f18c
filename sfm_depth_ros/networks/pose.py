# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pose networks: how the camera moved between images, and the smallest of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sfm_depth_ros.config.schema import PoseNetworkConfig
from sfm_depth_ros.networks.blocks import ConvBlock, normalised

STAGES = (1, 2, 4, 6, 8, 8)  # channels after each halving, in units of config.width
OUTPUT_SCALE = 0.01  # of the raw output, as in SfMLearner and its descendants


@dataclass(frozen=True)
class PoseOutput:
    """All that a pose network says of a stack of ``images``; P = images - 1 neighbouring pairs.

    Attributes:
        motion: ``(B, 6 P)``, [tx ty tz rx ry rz] of ``T_earlier_later`` of each pair in temporal
            order, at the reference focal length.
        explainability: Each ``(B, P, 2, h, w)`` in (0, 1), finest first: of each pair, at the
            pixels of its earlier and of its later image. None where not configured.
        residual_translation: ``(B, P, 2, 3, H, W)`` metres at the reference focal length, at the
            same places: added to the point after it was taken to the pair's other image.
        intrinsics: ``(B, 3, 3)`` K in pixels of the image.
    """

    motion: Tensor
    explainability: list[Tensor] | None = None
    residual_translation: Tensor | None = None
    intrinsics: Tensor | None = None


class PoseNetwork(nn.Module):
    """What all pose networks share: features, the motion that a head reads from them, its scale.

    ``log_scale`` multiplies the translation: metric scale is one number of its own.

    Args:
        config: Shape of the network.
        channels: Channels of each feature map, finest (half the image's size) first.
    """

    def __init__(self, config: PoseNetworkConfig, channels: Sequence[int]) -> None:
        super().__init__()
        self.config = config
        self.images = config.images
        self.channels = tuple(channels)
        self.log_scale = nn.Parameter(torch.zeros(()))

    @abstractmethod
    def encode(self, stack: Tensor) -> list[Tensor]:
        """``(B, 3 images, H, W)`` to feature maps, each half as large as the one before."""

    @abstractmethod
    def read_motion(self, features: list[Tensor]) -> Tensor:
        """Motion ``(B, 6 (images - 1))`` from the features."""

    def raw(self, stack: Tensor) -> Tensor:
        """The network's own output, before ``log_scale``; see :meth:`forward`."""
        return self.read_motion(self.encode(stack))

    def forward(self, stack: Tensor) -> Tensor:
        """Motion at the reference focal length.

        Args:
            stack: ``(B, 3 images, H, W)`` RGB in [0, 1] in temporal order.

        Returns:
            ``(B, 6 (images - 1))``: of each pair of neighbours in temporal order [tx ty tz rx ry
            rz] of ``T_earlier_later``, the pose of the later camera in the earlier one: metres
            and radians (axis-angle).
        """
        return self._scaled(self.raw(stack))

    def observe(self, stack: Tensor) -> PoseOutput:
        """The motion and all else that the configuration asks for; ``stack`` as in forward."""
        return PoseOutput(self._scaled(self.read_motion(self.encode(stack))))

    def _scaled(self, motion: Tensor) -> Tensor:
        ones = torch.ones_like(motion[:, :3])
        factors = torch.cat((ones * torch.exp(self.log_scale), ones), dim=1)
        return motion * torch.cat([factors] * (self.images - 1), dim=1)


class SmallPoseNet(PoseNetwork):
    """Two images in temporal order to the motion between them."""

    def __init__(self, config: PoseNetworkConfig) -> None:
        """Build it from its shape."""
        channels = [6, *(config.width * stage for stage in STAGES)]
        super().__init__(config, channels[1:])
        kernels = (7, 5, 3, 3, 3, 3)
        self.features = nn.Sequential(
            *(
                ConvBlock(a, b, kernel=kernel, stride=2)
                for a, b, kernel in zip(channels, channels[1:], kernels, strict=False)
            )
        )
        self.head = nn.Conv2d(channels[-1], 6, 1)

    def encode(self, stack: Tensor) -> list[Tensor]:
        """Six feature maps, down to 1/64."""
        x, features = normalised(stack), []
        for block in self.features:
            x = block(x)
            features.append(x)
        return features

    def read_motion(self, features: list[Tensor]) -> Tensor:
        """Mean over places of a 1x1 convolution."""
        return self.head(features[-1]).mean(dim=(2, 3)) * OUTPUT_SCALE
