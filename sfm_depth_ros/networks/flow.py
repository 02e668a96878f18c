# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small optical flow network: coarse to fine, with correlation in plain operators.

Pyramid, warping and cost volume after PWC-Net (Sun et al., CVPR 2018); one decoder for all levels.
Features are normalised before they are matched (UFlow, Jonschkowski et al., ECCV 2020): with
their means left in, all of them look alike. The expected displacement under the matches'
likelihood is where the decoder begins, so that fresh weights find some flow already.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.geometry.flow import warp_by_flow
from sfm_depth_ros.networks.blocks import normalised

CHANNELS = (16, 32, 64, 96)  # of the pyramid at 1/2, 1/4, 1/8 and 1/16
FINEST = 1  # index of the finest level that is matched, at 1/4
RADIUS = 4  # pixels of a level that are searched around the present flow
REDUCED = 32  # channels of the features that the decoder sees
DECODER = (96, 64, 32)
SLOPE = 0.1
SHARPNESS = 2.0  # initial factor between correlation and log likelihood
SHARPNESS_UNIT = 20.0  # of its parameter, which so changes as fast as it must at a weight's rate


class FlowNetwork(nn.Module):
    """Two images to the flow between them, at full size, 1/8 and 1/16.

    The finest flow is found at a quarter of the image's size and enlarged.
    """

    def __init__(self) -> None:
        """Build it; fresh weights predict the expected displacement of what matches."""
        super().__init__()
        self.pyramid = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3, 2, 1), nn.LeakyReLU(SLOPE),
                nn.Conv2d(b, b, 3, 1, 1), nn.LeakyReLU(SLOPE),
            )
            for a, b in pairwise((3, *CHANNELS))
        )  # fmt: skip
        self.reduce = nn.ModuleList(nn.Conv2d(c, REDUCED, 1) for c in CHANNELS[FINEST:])
        inputs = ((2 * RADIUS + 1) ** 2 + REDUCED + 4, *DECODER)
        self.decoder = nn.Sequential(
            *(
                part
                for a, b in pairwise(inputs)
                for part in (nn.Conv2d(a, b, 3, 1, 1), nn.LeakyReLU(SLOPE))
            )
        )
        self.head = nn.Conv2d(DECODER[-1], 2, 3, 1, 1)
        nn.init.normal_(self.head.weight, std=1e-3)
        assert self.head.bias is not None  # a plain convolution has one
        nn.init.zeros_(self.head.bias)
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS / SHARPNESS_UNIT))

    def forward(self, first: Tensor, second: Tensor, start: Tensor | None = None) -> list[Tensor]:
        """Flow at three scales, in pixels of the whole image.

        Args:
            first: ``(B, 3, H, W)`` RGB in [0, 1]; H and W are multiples of 16.
            second: The same of the other image.
            start: ``(B, 2, H, W)`` flow that what is found is added to (GeoNet's residual flow),
                or None.

        Returns:
            ``(B, 2, H, W)`` from the first image to the second, then of 1/8 and 1/16 of its size.
        """
        features = [self._features(image) for image in (first, second)]
        found: list[Tensor] = []  # what is added to the start, coarse to fine
        flows: list[Tensor] = []
        for level in range(len(CHANNELS) - 1, FINEST - 1, -1):
            here, there = normalised_together(features[0][level], features[1][level])
            size, step = here.shape[-2:], 2 ** (level + 1)
            rest = enlarged(found[-1], size) if found else here.new_zeros((len(here), 2, *size))
            base = rest if start is None else rest + functional.avg_pool2d(start, step)
            cost = correlation(here, warp_by_flow(there, base / step), RADIUS)
            matched = expected_displacement(SHARPNESS_UNIT * self.sharpness * cost, RADIUS)
            reduced = self.reduce[level - FINEST](here)
            hidden = self.decoder(torch.cat((cost, matched, reduced, base / step), dim=1))
            change = (matched + self.head(hidden)) * step
            found.append(rest + change)
            flows.append(base + change)
        finest = enlarged(found[-1], first.shape[-2:])
        flows[-1] = finest if start is None else finest + start
        return flows[::-1]

    def _features(self, image: Tensor) -> list[Tensor]:
        features = [normalised(image)]
        for block in self.pyramid:
            features.append(block(features[-1]))
        return features[1:]


def normalised_together(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Two feature maps ``(B, C, H, W)`` of zero mean and unit deviation, by channel.

    Statistics are those of both together, so that equal features stay equal.
    """
    both = torch.cat((first, second), dim=-1)
    mean = both.mean((2, 3), keepdim=True)
    scale = (both.var((2, 3), keepdim=True) + 1e-6).rsqrt()
    return (first - mean) * scale, (second - mean) * scale


def correlation(first: Tensor, second: Tensor, radius: int) -> Tensor:
    """Mean product of each pixel's features with those around it in the other map.

    Args:
        first: ``(B, C, H, W)``, normalised.
        second: ``(B, C, H, W)``, likewise.
        radius: How far to look, in pixels.

    Returns:
        ``(B, (2 radius + 1)^2, H, W)``, row by row of the displacements; zero outside.
    """
    height, width = first.shape[-2], first.shape[-1]
    padded = functional.pad(second, (radius,) * 4)
    across = range(2 * radius + 1)
    return torch.stack(
        [
            (first * padded[..., y : y + height, x : x + width]).mean(1)
            for y in across
            for x in across
        ],
        dim=1,
    )


def expected_displacement(logits: Tensor, radius: int) -> Tensor:
    """Mean displacement ``(B, 2, H, W)`` under the softmax of a ``correlation``, in its pixels."""
    side = 2 * radius + 1
    share = logits.softmax(1).unflatten(1, (side, side))
    steps = torch.arange(-radius, radius + 1, dtype=logits.dtype, device=logits.device)
    columns = (share.sum(1) * steps[:, None, None]).sum(1)
    rows = (share.sum(2) * steps[:, None, None]).sum(1)
    return torch.stack((columns, rows), dim=1)


def enlarged(flow: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """A flow, in pixels of the whole image, at another size."""
    return functional.interpolate(flow, tuple(size), mode="bilinear", align_corners=False)
