# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How every pixel's point moves by itself (Gordon et al., Depth from Videos in the Wild, 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDEST = 64  # channels of a refinement
SCALE = 0.1  # metres for an output of 1, at the start


class Refinement(nn.Module):
    """Enlarges a coarse field to a feature map's size and adds what the features say.

    It adds nothing at the start.
    """

    def __init__(self, inputs: int, fields: int) -> None:
        """Args: channels of the feature map, channels of the field."""
        super().__init__()
        hidden = min(max(inputs, fields), WIDEST)
        self.first = nn.Conv2d(inputs + fields, hidden, 3, 1, 1)
        self.second = nn.Conv2d(hidden, fields, 3, 1, 1)
        for parameter in self.second.parameters():
            nn.init.zeros_(parameter)

    def forward(self, field: Tensor, features: Tensor) -> Tensor:
        """``(B, fields, h, w)`` and ``(B, inputs, H, W)`` to ``(B, fields, H, W)``."""
        field = functional.interpolate(
            field, features.shape[-2:], mode="bilinear", align_corners=False
        )
        hidden = functional.relu(self.first(torch.cat((field, features), dim=1)))
        return field + self.second(hidden)


class MotionField(nn.Module):
    """Translation of every point beside the camera's motion, refined from coarse to fine.

    Of each pair of neighbours one field lies at the earlier image's pixels and one at the
    later's, each to be added to a point after it was taken to the other image. It is zero at the
    start; each axis has a scale of its own, since things move less up and down.

    Args:
        channels: Channels of the pose network's feature maps, finest first.
        images: How many images it sees.
    """

    def __init__(self, channels: Sequence[int], images: int) -> None:
        super().__init__()
        self.pairs = images - 1
        self.fields = 6 * self.pairs
        inputs = (*reversed(channels), 3 * images)
        self.refinements = nn.ModuleList(Refinement(width, self.fields) for width in inputs)
        self.axis_scale = nn.Parameter(torch.full((3,), SCALE))

    def forward(self, features: list[Tensor], stack: Tensor) -> Tensor:
        """Fields at the images' size.

        Args:
            features: Feature maps of the pose network, finest first.
            stack: ``(B, 3 images, H, W)`` what the network saw.

        Returns:
            ``(B, pairs, 2, 3, H, W)`` metres.
        """
        field = stack.new_zeros(len(stack), self.fields, 1, 1)
        for refine, here in zip(self.refinements, (*reversed(features), stack), strict=True):
            field = refine(field, here)
        return field.unflatten(1, (self.pairs, 2, 3)) * self.axis_scale[:, None, None]
