# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PackNet01 and PackNetSlim01 (Guizilini et al., CVPR 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.networks.depth_network import DepthNetwork
from sfm_depth_ros.networks.packing import NormConv, Packing, ResidualConv, Unpacking

BLOCKS = (2, 2, 3, 3)  # residual blocks of the stages after the first
PACK_KERNELS = (5, 3, 3, 3, 3)
HEADS = 4
SMALLEST_INVERSE_DEPTH = 1e-6  # 1/m, what the authors clamp to before they invert


@dataclass(frozen=True)
class PackNetShape:
    """What the published variants differ in."""

    channels: tuple[int, int, int, int, int]  # Of the five stages; the stem has those of the first
    features: int  # Volumes that each 3D convolution makes


SHAPES = {
    "packnet01": PackNetShape((64, 64, 128, 256, 512), 8),
    "packnet_slim01": PackNetShape((32, 64, 128, 256, 512), 4),
}


class PackNet(DepthNetwork):
    """Image to depth at the reference focal length, at 1, 1/2, 1/4 and 1/8 of its size.

    Inverse depth is the sigmoid over ``min_depth`` (the authors': 0.5 m), without a farthest
    depth.
    """

    def __init__(self, config: DepthNetworkConfig) -> None:
        """Build it from its shape."""
        super().__init__(config)
        self.adds = config.skip_fusion == "add"
        shape = SHAPES[config.name]
        self._build_encoder(shape)
        self._build_decoder(shape)
        self.apply(initialise)

    def _build_encoder(self, shape: PackNetShape) -> None:
        first, *_ = channels = shape.channels
        self.stem = NormConv(3, first, kernel=5)
        self.stages = nn.ModuleList([NormConv(first, first, kernel=7)])
        for inputs, outputs, blocks in zip(channels, channels[1:], BLOCKS, strict=False):
            rest = (ResidualConv(outputs, outputs) for _ in range(blocks - 1))
            self.stages.append(nn.Sequential(ResidualConv(inputs, outputs), *rest))
        self.packs = nn.ModuleList(
            Packing(width, kernel, shape.features)
            for width, kernel in zip(channels, PACK_KERNELS, strict=True)
        )

    def _build_decoder(self, shape: PackNetShape) -> None:
        """Five stages, coarse to fine; the last four say an inverse depth."""
        here = shape.channels[::-1]
        skips = (*shape.channels[:-1][::-1], shape.channels[0])
        below = (here[0], *here[:-1])
        enlarged = skips if self.adds else here  # channels beside the skips
        self.unpacks = nn.ModuleList(
            Unpacking(inputs, outputs, shape.features)
            for inputs, outputs in zip(below, enlarged, strict=True)
        )
        joined = [enlarged[i] + (0 if self.adds else skips[i]) + (i > 1) for i in range(5)]
        self.joins = nn.ModuleList(
            NormConv(inputs, outputs) for inputs, outputs in zip(joined, here, strict=True)
        )
        self.heads = nn.ModuleList(nn.Conv2d(width, 1, 3, 1, 1) for width in here[-HEADS:])

    def outputs(self, image: Tensor) -> list[Tensor]:
        """Inverse depths in 1/m at 1, 1/2, 1/4 and 1/8 of the image's size, as published."""
        x, skips = self._encode(image)
        said: list[Tensor] = []  # coarse to fine
        for level, (unpack, join) in enumerate(zip(self.unpacks, self.joins, strict=True)):
            parts = [unpack(x), skips[-1 - level]]
            parts = [parts[0] + parts[1]] if self.adds else parts
            if said:
                parts.append(functional.interpolate(said[-1], scale_factor=2.0, mode="nearest"))
            x = join(torch.cat(parts, dim=1))
            if level > 0:
                head = self.heads[level - 1]
                said.append(torch.sigmoid(head(x)) / self.config.min_depth)
        return said[::-1]

    def _encode(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Features at 1/32, and those beside the decoder at 1, 1/2, 1/4, 1/8 and 1/16."""
        outputs = [self.stem(image)]
        for stage, pack in zip(self.stages, self.packs, strict=True):
            outputs.append(pack(stage(outputs[-1])))
        return outputs[-1], outputs[:-1]

    def to_depth(self, output: Tensor) -> Tensor:
        """Depth of an inverse depth; there is no farthest one."""
        return torch.exp(self.log_scale) / output.clamp(min=SMALLEST_INVERSE_DEPTH)


def initialise(module: nn.Module) -> None:
    """The authors' first weights: Xavier's uniform ones without biases."""
    if isinstance(module, (nn.Conv2d, nn.Conv3d)):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
