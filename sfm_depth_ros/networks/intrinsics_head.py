# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Intrinsics from the images alone (Gordon et al., Depth from Videos in the Wild, ICCV 2019)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

ONE = math.log(math.e - 1)  # softplus of it is 1


class IntrinsicsHead(nn.Module):
    """Focal lengths and principal point from the bottleneck of a pose network.

    A fresh one says what an ordinary camera has: focal lengths of the image's width (a field of
    view of 53 degrees, square pixels) and the principal point in the middle. The authors start
    at 0.69 times the width and the height, which is no camera that exists.

    Args:
        channels: Channels of the bottleneck.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, 4)
        for parameter in self.linear.parameters():
            nn.init.zeros_(parameter)

    def forward(self, bottleneck: Tensor, height: int, width: int) -> Tensor:
        """K in pixels.

        Args:
            bottleneck: ``(B, channels, h, w)``.
            height: The image's height in pixels.
            width: Its width.

        Returns:
            ``(B, 3, 3)``.
        """
        said = self.linear(bottleneck.mean(dim=(2, 3))).float()  # (B, 4)
        fx, fy = (functional.softplus(said[:, :2] + ONE) * width).unbind(1)
        cx = (said[:, 2] + 0.5) * width - 0.5  # pixel centres lie at integers
        cy = (said[:, 3] + 0.5) * height - 0.5
        zero, one = torch.zeros_like(fx), torch.ones_like(fx)
        return torch.stack((fx, zero, cx, zero, fy, cy, zero, zero, one), 1).unflatten(1, (3, 3))
