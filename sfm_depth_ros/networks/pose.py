# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pose networks: how the camera moved between two images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfm_depth_ros.config.schema import PoseNetworkConfig
from sfm_depth_ros.networks.blocks import ConvBlock, normalised

STAGES = (1, 2, 4, 6, 8, 8)  # channels after each halving, in units of config.width
OUTPUT_SCALE = 0.01  # of the raw output, as in SfMLearner and its descendants


class SmallPoseNet(nn.Module):
    """Two images in temporal order to the motion between them.

    ``log_scale`` multiplies the translation: metric scale is one number of its own.
    """

    def __init__(self, config: PoseNetworkConfig) -> None:
        """Build it from its shape."""
        super().__init__()
        self.config = config
        channels = [6, *(config.width * stage for stage in STAGES)]
        kernels = (7, 5, 3, 3, 3, 3)
        self.features = nn.Sequential(
            *(
                ConvBlock(a, b, kernel=kernel, stride=2)
                for a, b, kernel in zip(channels, channels[1:], kernels, strict=False)
            )
        )
        self.head = nn.Conv2d(channels[-1], 6, 1)
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, pair: Tensor) -> Tensor:
        """Motion at the reference focal length.

        Args:
            pair: ``(B, 6, H, W)`` in [0, 1]: the earlier image's RGB, then the later one's.

        Returns:
            ``(B, 6)`` [tx ty tz rx ry rz] of ``T_earlier_later``, the pose of the later camera in
            the earlier one: metres and radians (axis-angle).
        """
        raw = self.head(self.features(normalised(pair))).mean(dim=(2, 3)) * OUTPUT_SCALE
        translation = raw[:, :3] * torch.exp(self.log_scale)
        return torch.cat((translation, raw[:, 3:]), dim=1)
