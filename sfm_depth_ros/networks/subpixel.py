# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sub-pixel decoder: sizes are doubled by convolutions whose channels become pixels.

After SuperDepth (Pillai, Ambrus and Gaidon, ICRA 2019), which super-resolves disparities from
features of half their size, and Shi et al., CVPR 2016 (the rearrangement).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.config.schema import DepthNetworkConfig
from sfm_depth_ros.networks.blocks import start_at_middle_depth
from sfm_depth_ros.networks.depth_network import DepthNetwork

CHANNELS = (128, 96, 64, 32)  # of decoded features at 1/16, 1/8, 1/4 and 1/2
BRANCH = (32, 32, 16)  # of the branch that enlarges a disparity
HEADS = 4


class SubPixel(nn.Module):
    """Convolution to four times the channels, rearranged to twice the height and width."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Args: channels in and out."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, 4 * outputs, 3, 1, 1)
        start_alike(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, outputs, 2 H, 2 W)``."""
        return functional.pixel_shuffle(self.conv(x), 2)


@torch.no_grad()
def start_alike(conv: nn.Conv2d) -> None:
    """Give the four pixels of every output channel the same weights.

    A fresh sub-pixel convolution then enlarges as nearest neighbours do, without a checkerboard
    (Aitken et al. 2017).
    """
    conv.weight.copy_(conv.weight[::4].repeat_interleave(4, dim=0))
    if conv.bias is not None:
        conv.bias.copy_(conv.bias[::4].repeat_interleave(4))


class DisparityBranch(nn.Module):
    """Features to the three feature maps before the disparity of twice their size."""

    def __init__(self, inputs: int) -> None:
        """Args: channels of the features."""
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, 1, 1) for a, b in pairwise((inputs, *BRANCH))
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, BRANCH[-1], H, W)``."""
        for conv in self.convs:
            x = functional.elu(conv(x))
        return x


class SubPixelDecoder(nn.Module):
    """Features from coarse to fine, all enlarged by sub-pixel convolutions; four disparities.

    Args:
        encoder_channels: Channels of the encoder's features at 1/2, 1/4 and so on, finest first;
            0 for a size that it lacks.
    """

    def __init__(self, encoder_channels: list[int]) -> None:
        super().__init__()
        *skips, coarsest = encoder_channels
        here = CHANNELS[-len(skips) :]
        self.enlarge = nn.ModuleList(SubPixel(a, b) for a, b in pairwise((coarsest, *here)))
        self.join = nn.ModuleList(
            nn.Conv2d(width + skip, width, 3, 1, 1)
            for width, skip in zip(here, skips[::-1], strict=True)
        )
        seen = (coarsest, *here)[-HEADS:]
        self.branches = nn.ModuleList(DisparityBranch(width) for width in seen)
        heads = [nn.Conv2d(BRANCH[-1], 4, 3, 1, 1) for _ in seen]
        for head in heads:
            start_at_middle_depth(head)
            start_alike(head)
        self.heads = nn.ModuleList(heads)

    def forward(self, features: list[Tensor | None]) -> list[Tensor]:
        """Disparity logits at 1, 1/2, 1/4 and 1/8, finest first; features finest first."""
        stages = self._stages(features)[-HEADS:]
        return [self._disparity(level, stages[level]) for level in reversed(range(len(stages)))]

    def finest(self, features: list[Tensor | None]) -> Tensor:
        """The finest disparity logits alone, ``(B, 1, H, W)``."""
        return self._disparity(-1, self._stages(features)[-1])

    def _disparity(self, level: int, x: Tensor) -> Tensor:
        return functional.pixel_shuffle(self.heads[level](self.branches[level](x)), 2)

    def _stages(self, features: list[Tensor | None]) -> list[Tensor]:
        """The encoder's coarsest features and all decoded ones, coarse to fine."""
        *skips, x = features
        assert x is not None  # every encoder has its coarsest map
        stages = [x]
        for enlarge, join, skip in zip(self.enlarge, self.join, skips[::-1], strict=True):
            x = functional.elu(enlarge(stages[-1]))
            x = x if skip is None else torch.cat((x, skip), dim=1)
            stages.append(functional.elu(join(x)))
        return stages


class SubPixelDepthNet(DepthNetwork):
    """An encoder of any of the depth networks with the sub-pixel decoder.

    Args:
        config: The network's shape.
        encoder: Image to feature maps, finest first; None for a size that it lacks.
        channels: Their channels, 0 for a size that it lacks.
    """

    smallest_side = 64  # as of the encoders that mirror their border

    def __init__(
        self, config: DepthNetworkConfig, encoder: nn.Module, channels: list[int]
    ) -> None:
        super().__init__(config)
        self.encoder = encoder
        self.decoder = SubPixelDecoder(channels)

    def outputs(self, image: Tensor) -> list[Tensor]:
        """Disparities (sigmoid) at 1, 1/2, 1/4 and 1/8 of the image's size."""
        return [torch.sigmoid(logits) for logits in self.decoder(self._features(image))]

    def finest(self, image: Tensor) -> Tensor:
        """The finest disparity, without the branches of the coarser ones."""
        return torch.sigmoid(self.decoder.finest(self._features(image)))

    def _features(self, image: Tensor) -> list[Tensor | None]:
        features = list(self.encoder(image))
        absent = len(self.decoder.join) + 1 - len(features)
        return [*[None] * absent, *features]
