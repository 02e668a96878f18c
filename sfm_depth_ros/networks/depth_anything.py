# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth Anything V2: DINOv2's transformer and a DPT head, in three sizes, with three heads.

Yang et al., "Depth Anything V2", NeurIPS 2024. The relative head gives inverse depth up to a gain
and an offset, ``1 / (A out + B)``: here A is ``exp(-log_scale)`` and B is ``A`` times ``shift``.
The metric heads (outdoors up to 80 m, indoors up to 20 m) have the same tensors.

DPT: Ranftl et al., "Vision Transformers for Dense Prediction", ICCV 2021, here without batch norm
and with the class token unused.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.config.networks import METRIC, DepthNetworkConfig
from sfm_depth_ros.networks.depth_network import DepthNetwork
from sfm_depth_ros.networks.vit import PATCH, VisionTransformer, ViTShape

SMALLEST_INVERSE_DEPTH = 1e-6  # 1/m: a million metres, farther than any maximum
SMALLEST_METRIC = 1e-6  # of the sigmoid, which is 0 in float32 for large negative numbers
LAST_WIDTH = 32  # channels before the head's last convolution


@dataclass(frozen=True)
class DepthAnythingShape:
    """Numbers in which the sizes differ."""

    encoder: ViTShape
    channels: tuple[int, int, int, int]  # of the head's four stages, finest first
    features: int  # of the fused stages


SHAPES = {
    "depth_anything_v2_small": DepthAnythingShape(
        ViTShape(384, 12, 6, (2, 5, 8, 11)), (48, 96, 192, 384), 64
    ),
    "depth_anything_v2_base": DepthAnythingShape(
        ViTShape(768, 12, 12, (2, 5, 8, 11)), (96, 192, 384, 768), 128
    ),
    "depth_anything_v2_large": DepthAnythingShape(
        ViTShape(1024, 24, 16, (4, 11, 17, 23)), (256, 512, 1024, 1024), 256
    ),
}


class DepthAnythingV2(DepthNetwork):
    """Image to depth at the reference focal length, at one scale.

    ``log_scale`` multiplies every depth. With an inverse-affine head ``shift`` is added to the
    output before it is inverted, so that A = exp(-log_scale) and B = A shift.
    """

    multiple = PATCH
    smallest_side = 2 * PATCH

    def __init__(self, config: DepthNetworkConfig) -> None:
        """Build it from its shape."""
        super().__init__(config)
        shape = SHAPES[config.name]
        self.encoder = VisionTransformer(shape.encoder)
        self.decoder = DPTHead(shape.encoder.width, shape.channels, shape.features)
        self.is_metric = config.head == METRIC
        if not self.is_metric:
            self.shift = nn.Parameter(torch.zeros(()))

    def outputs(self, image: Tensor) -> list[Tensor]:
        """The published network's output in a list.

        Returns:
            ``(B, 1, H, W)`` metres, or inverse depth of unknown gain and offset, at least 0.
        """
        logits = self.decoder(self.encoder(image), (image.shape[-2], image.shape[-1]))
        if self.is_metric:
            return [torch.sigmoid(logits) * self.config.max_depth]
        return [logits.relu()]

    def to_depth(self, output: Tensor) -> Tensor:
        """Depth in metres at the reference focal length: see the class."""
        scale = torch.exp(self.log_scale)
        if self.is_metric:
            return output.clamp(min=SMALLEST_METRIC * self.config.max_depth) * scale
        return scale / (output + self.shift).clamp(min=SMALLEST_INVERSE_DEPTH)


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
