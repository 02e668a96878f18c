# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth Anything V2: DINOv2's transformer and a DPT head, in three sizes, with three heads.

Yang et al., "Depth Anything V2", NeurIPS 2024. The relative head gives inverse depth up to a gain
and an offset, ``1 / (A out + B)``: here A is ``exp(-log_scale)`` and B is ``A`` times ``shift``.
The metric heads (outdoors up to 80 m, indoors up to 20 m) have the same tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sfm_depth_ros.config.networks import METRIC, DepthNetworkConfig
from sfm_depth_ros.networks.depth_network import DepthNetwork
from sfm_depth_ros.networks.dpt import DPTHead
from sfm_depth_ros.networks.vit import PATCH, VisionTransformer, ViTShape

SMALLEST_INVERSE_DEPTH = 1e-6  # 1/m: a million metres, farther than any maximum
SMALLEST_METRIC = 1e-6  # of the sigmoid, which is 0 in float32 for large negative numbers


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
