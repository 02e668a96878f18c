# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decoder of Monodepth2 (Godard et al., ICCV 2019): encoder features to disparities.

Per stage a convolution, nearest x2, the encoder's features of that size beside it, another
convolution; a head at each of the four finest stages. The topology is a fact of the paper and of
published weights; the code is this project's own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = (256, 128, 64, 32, 16)  # of the stages at 1/16, 1/8, 1/4, 1/2 and 1
HEADS = 4


class SkipDecoder(nn.Module):
    """Five enlarging stages, coarse to fine, with a disparity at 1/8, 1/4, 1/2 and 1."""

    def __init__(self, encoder_channels: list[int]) -> None:
        """Build it for an encoder.

        Args:
            encoder_channels: Channels of the features at 1/2, 1/4, 1/8, 1/16 and 1/32; 0 for a
                size that the encoder lacks.
        """
        super().__init__()
        skips = [*encoder_channels[-2::-1], 0]  # beside each stage's enlarged features
        below = [encoder_channels[-1], *CHANNELS[:-1]]
        self.reduce = nn.ModuleList(
            _convolution(inputs, here) for inputs, here in zip(below, CHANNELS, strict=True)
        )
        self.join = nn.ModuleList(
            _convolution(here + skip, here) for here, skip in zip(CHANNELS, skips, strict=True)
        )
        self.heads = nn.ModuleList(_convolution(here, 1) for here in CHANNELS[-HEADS:])

    def forward(self, features: list[Tensor | None]) -> list[Tensor]:
        """Disparity logits at all scales.

        Args:
            features: The encoder's, finest (1/2) first; None for a size that it lacks.

        Returns:
            Four ``(B, 1, h, w)``, finest (the image's size) first.
        """
        stages = self.stages(features)
        return [head(x) for head, x in zip(self.heads, stages[-HEADS:], strict=True)][::-1]

    def finest(self, features: list[Tensor | None]) -> Tensor:
        """The finest disparity logits alone, ``(B, 1, H, W)``."""
        logits: Tensor = self.heads[-1](self.stages(features)[-1])
        return logits

    def stages(self, features: list[Tensor | None]) -> list[Tensor]:
        """Decoded features at 1/16, 1/8, 1/4, 1/2 and 1."""
        x, decoded = features[-1], []
        skips = [*features[-2::-1], None]
        for reduce, join, skip in zip(self.reduce, self.join, skips, strict=True):
            x = functional.interpolate(_elu(reduce(x)), scale_factor=2.0, mode="nearest")
            x = _elu(join(x if skip is None else torch.cat((x, skip), dim=1)))
            decoded.append(x)
        return decoded


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that mirrors the image at its border."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")


def _elu(x: Tensor) -> Tensor:
    return functional.elu(x, inplace=True)
