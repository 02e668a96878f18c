# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Intrinsics from the images alone (Gordon et al., Depth from Videos in the Wild, ICCV 2019)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

ONE = math.log(math.e - 1)  # softplus of it is 1
SHARED_RATE = 40.0  # what all images share learns this many times faster than what one says
NARROW = 0.02  # of the image's size: how far pixel shape and principal point go for an output of 1


class IntrinsicsHead(nn.Module):
    """Focal length, pixel shape and principal point from the bottleneck of a pose network.

    A fresh one says what an ordinary camera has: a focal length of the image's width (a field of
    view of 53 degrees), square pixels and the principal point in the middle. The authors start
    at 0.69 times the width and the height, which is no camera that exists.

    What cameras differ in most learns fastest. A drive shows one camera, so what all images share
    outruns what a single image may say beside it; and a drive tells its focal length by its turns,
    whereas only nodding and rolling tell the vertical one and the principal point apart from the
    direction of travel. The authors' four free numbers drift there, and from image to image.

    Args:
        channels: Channels of the bottleneck.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shared = nn.Parameter(torch.zeros(4))
        self.linear = nn.Linear(channels, 4, bias=False)
        nn.init.zeros_(self.linear.weight)

    def forward(self, bottleneck: Tensor, height: int, width: int) -> Tensor:
        """K in pixels.

        Args:
            bottleneck: ``(B, channels, h, w)``.
            height: The image's height in pixels.
            width: Its width.

        Returns:
            ``(B, 3, 3)``.
        """
        found = functional.normalize(bottleneck.mean(dim=(2, 3)), p=1.0)
        said = self.linear(found).float() + SHARED_RATE * self.shared  # (B, 4)
        fx = functional.softplus(said[:, 0] + ONE) * width
        fy = fx * torch.exp(NARROW * said[:, 1])
        cx = (NARROW * said[:, 2] + 0.5) * width - 0.5  # pixel centres lie at integers
        cy = (NARROW * said[:, 3] + 0.5) * height - 0.5
        zero, one = torch.zeros_like(fx), torch.ones_like(fx)
        return torch.stack((fx, zero, cx, zero, fy, cy, zero, zero, one), 1).unflatten(1, (3, 3))
