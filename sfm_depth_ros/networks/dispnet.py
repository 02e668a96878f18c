# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""DispNet as SfMLearner (Zhou et al., CVPR 2017) and Monodepth (Godard et al., CVPR 2017) have it.

Both descend from Mayer et al. (CVPR 2016): seven halvings, seven enlargements with skips, no
norms. Padding is symmetric here where TensorFlow's is not, by half a pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.networks.depth_network import DepthNetwork

DOWN_CHANNELS = (32, 64, 128, 256, 512, 512, 512)
DOWN_KERNELS = (7, 5, 3, 3, 3, 3, 3)
UP_CHANNELS = (512, 512, 256, 128, 64, 32, 16)
HEADS = 4
FLAT_HEAD = 0.01  # standard deviation of a fresh head's weights: depth begins flat


@dataclass(frozen=True)
class DispNetStyle:
    """Differences between the networks of the two papers."""

    activation: type[nn.Module]  # After every convolution but the heads
    halves_first: bool  # Whether the first convolution of a pair halves, else the second
    # Whether a transposed convolution enlarges, else nearest x2 and a convolution
    transposes: bool
    enlarging: str  # How the coarser disparity is enlarged for the next stage
    gain: float  # Of the sigmoid as the next stage sees it
    offset: float  # Added to it


STYLES = {
    "dispnet": DispNetStyle(nn.ReLU, True, True, "bilinear", 10.0, 0.01),
    "dispnet_monodepth": DispNetStyle(nn.ELU, False, False, "nearest", 0.3, 0.0),
}


class DispNet(DepthNetwork):
    """Image to depth at the reference focal length, at 1, 1/2, 1/4 and 1/8 of its size.

    Inverse depth is linear in the sigmoid between ``1 / max_depth`` and ``1 / min_depth``
    (SfMLearner: 0.01 and 10).
    """

    def __init__(self, config: DepthNetworkConfig) -> None:
        """Build it from its shape."""
        super().__init__(config)
        self.style = style = STYLES[config.name]
        self.down = nn.ModuleList(
            _halving(inputs, outputs, kernel, style)
            for (inputs, outputs), kernel in zip(
                pairwise((3, *DOWN_CHANNELS)), DOWN_KERNELS, strict=True
            )
        )
        self.up = nn.ModuleList(
            _enlarging(inputs, outputs, style)
            for inputs, outputs in pairwise((DOWN_CHANNELS[-1], *UP_CHANNELS))
        )
        skips = (*DOWN_CHANNELS[-2::-1], 0)
        self.join = nn.ModuleList(
            _convolution(here + skip + (level > len(UP_CHANNELS) - HEADS), here, 3, 1, style)
            for level, (here, skip) in enumerate(zip(UP_CHANNELS, skips, strict=True))
        )
        self.heads = nn.ModuleList(nn.Conv2d(here, 1, 3, 1, 1) for here in UP_CHANNELS[-HEADS:])
        if style.activation is not nn.ReLU:
            self.apply(_initialise)
            return
        self.apply(keep_variance)
        for name, parameter in self.heads.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(parameter, std=FLAT_HEAD)

    def outputs(self, image: Tensor) -> list[Tensor]:
        """Disparities (sigmoid) at 1, 1/2, 1/4 and 1/8 of the image's size."""
        features = [image * 2.0 - 1.0 if self.style.transposes else image]
        for halve in self.down:
            features.append(halve(features[-1]))
        x = features.pop()
        disparities: list[Tensor] = []  # coarse to fine
        for level, (enlarge, join) in enumerate(zip(self.up, self.join, strict=True)):
            parts = [enlarge(x)]
            if level < len(self.up) - 1:
                parts = [_cropped(parts[0], features[-1 - level]), features[-1 - level]]
            if disparities:
                parts.append(self._enlarged(disparities[-1]))
            x = join(torch.cat(parts, dim=1))
            if level >= len(self.up) - HEADS:
                disparities.append(torch.sigmoid(self.heads[level - len(self.up) + HEADS](x)))
        return disparities[::-1]

    def _enlarged(self, disparity: Tensor) -> Tensor:
        seen = disparity * self.style.gain + self.style.offset
        return functional.interpolate(seen, scale_factor=2.0, mode=self.style.enlarging)


def _halving(inputs: int, outputs: int, kernel: int, style: DispNetStyle) -> nn.Sequential:
    strides = (2, 1) if style.halves_first else (1, 2)
    return nn.Sequential(
        _convolution(inputs, outputs, kernel, strides[0], style),
        _convolution(outputs, outputs, kernel, strides[1], style),
    )


def _enlarging(inputs: int, outputs: int, style: DispNetStyle) -> nn.Sequential:
    if style.transposes:
        transposed = nn.ConvTranspose2d(inputs, outputs, 3, 2, padding=1, output_padding=1)
        return nn.Sequential(transposed, style.activation(inplace=True))
    return nn.Sequential(
        nn.Upsample(scale_factor=2.0, mode="nearest"),
        _convolution(inputs, outputs, 3, 1, style),
    )


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int, style: DispNetStyle
) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
    return nn.Sequential(convolution, style.activation(inplace=True))


def _cropped(x: Tensor, like: Tensor) -> Tensor:
    """Drop the last row or column where a halving had rounded up."""
    return x[..., : like.shape[-2], : like.shape[-1]]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def keep_variance(layer: nn.Module) -> None:
    """He initialisation (He et al., ICCV 2015): the variance survives every ReLU.

    With Xavier's, as published, it halves each time: of the image nothing is left after 14
    layers, and depth stays flat for hundreds of steps.

    Args:
        layer: A convolution, transposed or not; nothing happens to another module.
    """
    if not isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        return
    taps: float = math.prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose2d):  # of which each pixel gets one in stride^2
        taps /= math.prod(layer.stride)
    nn.init.normal_(layer.weight, std=math.sqrt(2 / (layer.in_channels * taps)))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
