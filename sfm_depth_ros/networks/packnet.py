# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PackNet's blocks (Guizilini et al., CVPR 2020): halving and doubling without losing detail.

Space is folded into channels, and a 3D convolution over the channels learns what to keep.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.networks.depth_network import DepthNetwork

GROUPS = 16  # of every group norm


class NormConv(nn.Module):
    """Convolution, group norm, ELU, at one resolution."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        """Args: channels in and out, kernel size."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, 1, kernel // 2)
        self.norm = nn.GroupNorm(GROUPS, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, outputs, H, W)``."""
        return functional.elu(self.norm(self.conv(x)), inplace=True)


class ResidualConv(nn.Module):
    """Two 3x3 convolutions in parallel to a 1x1 one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Args: channels in and out."""
        super().__init__()
        self.first = NormConv(inputs, outputs)
        self.second = NormConv(outputs, outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        self.norm = nn.GroupNorm(GROUPS, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, outputs, H, W)``."""
        y = self.second(self.first(x)) + self.shortcut(x)
        return functional.elu(self.norm(y), inplace=True)


class Packing(nn.Module):
    """Halves the resolution: 2x2 pixels become channels, which are convolved in 3D, then in 2D."""

    def __init__(self, channels: int, kernel: int, features: int) -> None:
        """Args: channels in and out, kernel size in 2D, feature volumes of the 3D convolution."""
        super().__init__()
        self.volume = nn.Conv3d(1, features, 3, padding=1)
        self.join = NormConv(4 * channels * features, channels, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, H, W)`` to ``(B, channels, H / 2, W / 2)``."""
        packed = functional.pixel_unshuffle(x, 2)  # (B, 4 channels, H / 2, W / 2)
        return self.join(self.volume(packed.unsqueeze(1)).flatten(1, 2))


class Unpacking(nn.Module):
    """Doubles the resolution: a 2D and a 3D convolution make the channels of 2x2 pixels."""

    def __init__(self, inputs: int, outputs: int, features: int) -> None:
        """Args: channels in and out, feature volumes of the 3D convolution."""
        super().__init__()
        self.reduce = NormConv(inputs, 4 * outputs // features)
        self.volume = nn.Conv3d(1, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, outputs, 2 H, 2 W)``."""
        volumes = self.volume(self.reduce(x).unsqueeze(1))  # (B, features, 4 out / features, H, W)
        return functional.pixel_shuffle(volumes.flatten(1, 2), 2)


BLOCKS = (2, 2, 3, 3)  # residual blocks of the stages after the first
PACK_KERNELS = (5, 3, 3, 3, 3)
HEADS = 4
SMALLEST_INVERSE_DEPTH = 1e-6  # 1/m, what the authors clamp to before they invert


@dataclass(frozen=True)
class PackNetShape:
    """Differences between the published variants."""

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
        """Five stages, coarse to fine; the last four have an inverse depth."""
        here = shape.channels[::-1]
        skips = (*shape.channels[:-1][::-1], shape.channels[0])
        below = (here[0], *here[:-1])
        enlarged = skips if self.adds else here  # channels joined with the skips
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
        inverses: list[Tensor] = []  # coarse to fine
        for level, (unpack, join) in enumerate(zip(self.unpacks, self.joins, strict=True)):
            parts = [unpack(x), skips[-1 - level]]
            parts = [parts[0] + parts[1]] if self.adds else parts
            if inverses:
                parts.append(
                    functional.interpolate(inverses[-1], scale_factor=2.0, mode="nearest")
                )
            x = join(torch.cat(parts, dim=1))
            if level > 0:
                head = self.heads[level - 1]
                inverses.append(torch.sigmoid(head(x)) / self.config.min_depth)
        return inverses[::-1]

    def _encode(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Features at 1/32, and those skipped to the decoder at 1, 1/2, 1/4, 1/8 and 1/16."""
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
