# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The DPT head: features of a vision transformer to a dense map.

Ranftl et al., "Vision Transformers for Dense Prediction", ICCV 2021, as Depth Anything V2 has it:
no batch norm, the class token unused.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

LAST_WIDTH = 32


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions, a ReLU before each, beside a shortcut."""

    def __init__(self, channels: int) -> None:
        """Args: channels in and out."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, H, W)`` to the same shape."""
        return x + self.conv2(functional.relu(self.conv1(functional.relu(x))))


class Fusion(nn.Module):
    """Adds a finer stage's features to the coarser ones, refines, enlarges."""

    def __init__(self, channels: int, has_skip: bool) -> None:
        """Args: channels; whether there is something coarser to add to."""
        super().__init__()
        self.skip = ResidualUnit(channels) if has_skip else None
        self.refine = ResidualUnit(channels)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, skip: Tensor | None, size: tuple[int, int]) -> Tensor:
        """``(B, channels, h, w)`` and the finer stage's features of that size to ``size``."""
        if self.skip is not None and skip is not None:
            x = x + self.skip(skip)
        return self.out(_resized(self.refine(x), size))


class DPTHead(nn.Module):
    """Four feature maps of one size to one map at the image's size."""

    def __init__(self, width: int, channels: tuple[int, int, int, int], features: int) -> None:
        """Build the head.

        Args:
            width: Channels of the transformer.
            channels: Channels of the four stages after projection, finest first.
            features: Channels of the fused stages.
        """
        super().__init__()
        self.projects = nn.ModuleList(nn.Conv2d(width, here, 1) for here in channels)
        self.resizes = nn.ModuleList(
            (
                nn.ConvTranspose2d(channels[0], channels[0], 4, 4),
                nn.ConvTranspose2d(channels[1], channels[1], 2, 2),
                nn.Identity(),
                nn.Conv2d(channels[3], channels[3], 3, 2, 1),
            )
        )
        self.narrow = nn.ModuleList(
            nn.Conv2d(here, features, 3, 1, 1, bias=False) for here in channels
        )
        self.fusions = nn.ModuleList(Fusion(features, stage < 3) for stage in range(4))
        self.conv1 = nn.Conv2d(features, features // 2, 3, 1, 1)
        self.conv2 = nn.Conv2d(features // 2, LAST_WIDTH, 3, 1, 1)
        self.heads = nn.Conv2d(LAST_WIDTH, 1, 1)

    def forward(self, features: list[Tensor], size: tuple[int, int]) -> Tensor:
        """The map before its last activation.

        Args:
            features: Four ``(B, width, h, w)``.
            size: (height, width) of the image.

        Returns:
            ``(B, 1, height, width)``.
        """
        stages = [
            narrow(resize(project(x)))
            for narrow, resize, project, x in zip(
                self.narrow, self.resizes, self.projects, features, strict=True
            )
        ]
        finest = stages[0].shape[-2:]
        sizes = [(2 * finest[0], 2 * finest[1]), *(stage.shape[-2:] for stage in stages[:-1])]
        x = self.fusions[3](stages[3], None, sizes[3])
        for stage in (2, 1, 0):
            x = self.fusions[stage](x, stages[stage], sizes[stage])
        x = _resized(self.conv1(x), size)
        return self.heads(functional.relu(self.conv2(x)))


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=True)
