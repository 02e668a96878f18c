# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Building blocks shared by the small networks."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

MEAN, STD = 0.45, 0.225  # of natural images in [0, 1], over all channels
INITIAL_DISPARITY_LOGIT = -4.0  # about 5 m: the middle of what robots look at, in log depth


def normalised(image: Tensor) -> Tensor:
    """Bring images ``(B, C, H, W)`` in [0, 1] to about zero mean and unit deviation."""
    return (image - MEAN) / STD


def enlarged(x: Tensor) -> Tensor:
    """``(B, C, H, W)`` to ``(B, C, 2 H, 2 W)``, bilinear."""
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def start_at_middle_depth(head: nn.Module) -> None:
    """Initialise a convolution to disparities of about 5 m."""
    if isinstance(head, nn.Conv2d) and head.bias is not None:
        nn.init.normal_(head.weight, std=0.01)
        nn.init.constant_(head.bias, INITIAL_DISPARITY_LOGIT)


class ConvBlock(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        """Args: channels in and out, kernel size, stride."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, outputs, H / stride, W / stride)``."""
        return functional.relu(self.norm(self.conv(x)))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, at one resolution."""

    def __init__(self, channels: int) -> None:
        """Args: channels in and out."""
        super().__init__()
        self.first = ConvBlock(channels, channels)
        self.conv = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, H, W)`` to the same shape."""
        return functional.relu(x + self.norm(self.conv(self.first(x))))


class GlobalContext(nn.Module):
    """Global context (camera height, pitch, kind of scene) added to every place."""

    def __init__(self, channels: int) -> None:
        """Args: channels in and out."""
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 1)
        self.second = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, H, W)`` to the same shape."""
        pooled = x.mean(dim=(2, 3), keepdim=True)  # (B, C, 1, 1)
        return x + self.second(functional.relu(self.first(pooled)))


class RowContext(nn.Module):
    """Context of each row of the image, added to all its places.

    Where the horizon lies and how high the camera is shows in how rows follow one another.
    """

    def __init__(self, channels: int) -> None:
        """Args: channels in and out."""
        super().__init__()
        self.first = nn.Conv2d(channels, channels, (3, 1), padding=(1, 0))
        self.second = nn.Conv2d(channels, channels, (3, 1), padding=(1, 0))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, H, W)`` to the same shape."""
        rows = x.mean(dim=3, keepdim=True)  # (B, C, H, 1)
        return x + self.second(functional.relu(self.first(rows)))
