# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PackNet's blocks (Guizilini et al., CVPR 2020): halving and doubling without losing detail.

Space is folded into channels, and a 3D convolution over the channels learns what to keep.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

GROUPS = 16  # of every group norm


class NormConv(nn.Module):
    """Convolution, group norm, ELU, at one resolution."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        """Args: channels in and out, kernel size."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, 1, kernel // 2)
        self.norm = nn.GroupNorm(GROUPS, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, outputs, H, W)``."""
        return functional.elu(self.norm(self.conv(x)), inplace=True)


class ResidualConv(nn.Module):
    """Two 3x3 convolutions beside a 1x1 one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Args: channels in and out."""
        super().__init__()
        self.first = NormConv(inputs, outputs)
        self.second = NormConv(outputs, outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        self.norm = nn.GroupNorm(GROUPS, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, outputs, H, W)``."""
        y = self.second(self.first(x)) + self.shortcut(x)
        return functional.elu(self.norm(y), inplace=True)


class Packing(nn.Module):
    """Halves the resolution: 2x2 pixels become channels, which are convolved in 3D, then in 2D."""

    def __init__(self, channels: int, kernel: int, features: int) -> None:
        """Args: channels in and out, kernel size in 2D, feature volumes of the 3D convolution."""
        super().__init__()
        self.volume = nn.Conv3d(1, features, 3, padding=1)
        self.join = NormConv(4 * channels * features, channels, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, H, W)`` to ``(B, channels, H / 2, W / 2)``."""
        packed = functional.pixel_unshuffle(x, 2)  # (B, 4 channels, H / 2, W / 2)
        return self.join(self.volume(packed.unsqueeze(1)).flatten(1, 2))


class Unpacking(nn.Module):
    """Doubles the resolution: a 2D and a 3D convolution make the channels of 2x2 pixels."""

    def __init__(self, inputs: int, outputs: int, features: int) -> None:
        """Args: channels in and out, feature volumes of the 3D convolution."""
        super().__init__()
        self.reduce = NormConv(inputs, 4 * outputs // features)
        self.volume = nn.Conv3d(1, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, outputs, 2 H, 2 W)``."""
        volumes = self.volume(self.reduce(x).unsqueeze(1))  # (B, features, 4 out / features, H, W)
        return functional.pixel_shuffle(volumes.flatten(1, 2), 2)
