# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite0 as an encoder.

Tan and Le, "EfficientNet", ICML 2019, in the Lite variant of the TensorFlow TPU repository: no
squeeze-and-excitation, ReLU6, stem and head not scaled. Padding is TensorFlow's "same", which at
a stride of 2 pads the far side by one more. The classifier is left out.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

MEAN, DEVIATION = 127.0 / 255.0, 128.0 / 255.0  # of images in [0, 1], as in its training
EPSILON = 1e-3  # of the batch norms
STEM = 32


class Stage(NamedTuple):
    """Blocks of one shape; the first one has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
TAPS = (0, 2, 4, 10, 15)  # last block at 1/2, 1/4, 1/8, 1/16 and 1/32


class NormalisedConv(nn.Module):
    """Convolution without bias, batch norm, ReLU6 where ``activates``."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1,
        activates: bool = True,
    ) -> None:  # fmt: skip
        """Args: channels in and out, kernel size, stride, groups, whether ReLU6 follows."""
        super().__init__()
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        even = before == after
        self.pad = nn.Identity() if even else nn.ZeroPad2d((before, after, before, after))
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, before if even else 0, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(outputs, eps=EPSILON, momentum=0.01)
        self.activates = activates

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, outputs, H / stride, W / stride)``."""
        x = self.norm(self.conv(self.pad(x)))
        return functional.relu6(x) if self.activates else x


class InvertedResidual(nn.Module):
    """1x1 to more channels, depthwise convolution, 1x1 to few; a shortcut where shapes agree."""

    def __init__(self, inputs: int, stage: Stage, stride: int) -> None:
        """Args: channels in, the stage's shape, this block's stride."""
        super().__init__()
        wide = inputs * stage.expansion
        self.expand = NormalisedConv(inputs, wide) if stage.expansion > 1 else nn.Identity()
        self.depthwise = NormalisedConv(wide, wide, stage.kernel, stride, groups=wide)
        self.project = NormalisedConv(wide, stage.channels, activates=False)
        self.has_shortcut = stride == 1 and inputs == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, channels, H / stride, W / stride)``."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.has_shortcut else y


class EfficientNetLite0(nn.Module):
    """Features of an image at 1/2, 1/4, 1/8, 1/16 and 1/32."""

    channels = [16, 24, 40, 112, 320]  # of the five feature maps, finest first

    def __init__(self) -> None:
        """Build it with random weights."""
        super().__init__()
        self.stem = NormalisedConv(3, STEM, 3, 2)
        self.blocks = nn.ModuleList()
        inputs = STEM
        for stage in STAGES:
            for index in range(stage.blocks):
                self.blocks.append(InvertedResidual(inputs, stage, 1 if index else stage.stride))
                inputs = stage.channels
        self.apply(_initialise)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Feature maps.

        Args:
            image: ``(B, 3, H, W)`` RGB in [0, 1]; H and W are multiples of 32.

        Returns:
            Five feature maps, finest first.
        """
        x = self.stem((image - MEAN) / DEVIATION)
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in TAPS:
                features.append(x)
        return features


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        fan_out = module.out_channels * module.kernel_size[0] ** 2 // module.groups
        with torch.no_grad():
            module.weight.normal_(std=(2.0 / fan_out) ** 0.5)
