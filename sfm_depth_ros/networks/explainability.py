# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which pixels the camera's motion can explain (Zhou et al., SfMLearner, CVPR 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

START = 4  # the feature map at 1/32
CHANNELS = (256, 128, 64, 32, 16)  # after each doubling of the size
KERNELS = (3, 3, 3, 5, 7)
MASKS = 4


class ExplainabilityHead(nn.Module):
    """Masks at the image's size and at 1/2, 1/4 and 1/8 of it, from the features at 1/32.

    Of each pair of neighbours one mask lies at the earlier image's pixels and one at the later's:
    so whichever of the two is the target has its own. A sigmoid stands for the authors' softmax
    over two channels, which says the same.

    Args:
        channels: Channels of the pose network's feature maps, finest first.
        pairs: How many pairs of neighbours it sees.
    """

    def __init__(self, channels: Sequence[int], pairs: int) -> None:
        super().__init__()
        self.pairs = pairs
        inputs = (channels[START], *CHANNELS)
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(a, b, kernel, 2, kernel // 2, output_padding=1)
            for a, b, kernel in zip(inputs, CHANNELS, KERNELS, strict=False)
        )
        self.masks = nn.ModuleList(
            nn.Conv2d(width, 2 * pairs, kernel, 1, kernel // 2)
            for width, kernel in zip(CHANNELS[-MASKS:], KERNELS[-MASKS:], strict=True)
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Masks ``(B, pairs, 2, h, w)`` in (0, 1), finest first."""
        x, said = features[START], []
        for step, enlarge in enumerate(self.enlarge):
            x = functional.relu(enlarge(x))
            if step >= len(CHANNELS) - MASKS:
                mask = self.masks[step - len(CHANNELS) + MASKS](x)
                said.append(torch.sigmoid(mask).unflatten(1, (self.pairs, 2)))
        return said[::-1]
