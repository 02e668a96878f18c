# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lite-Mono: dilated convolutions and attention over channels, in four sizes.

Zhang et al., "Lite-Mono: A Lightweight CNN and Transformer Architecture for Self-Supervised
Monocular Depth Estimation", CVPR 2023. The attention is XCA: El-Nouby et al., "XCiT", NeurIPS
2021.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.networks.blocks import enlarged, normalised
from sfm_depth_ros.networks.depth_network import DepthNetwork

EXPANSION = 6
HEADS = 8
LAYER_SCALE = 1e-6
NORM_EPSILON = 1e-6
FREQUENCIES = 32  # of the positions, for rows and for columns each
TEMPERATURE = 10000.0


@dataclass(frozen=True)
class LiteMonoShape:
    """Numbers in which the four sizes differ."""

    channels: tuple[int, int, int]  # at 1/4, 1/8 and 1/16
    rounds: int  # of the three dilations in the last stage, before the wide ones
    widens: bool = True  # whether training at 1024x320 has wider dilations


SHAPES = {
    "lite_mono": LiteMonoShape((48, 80, 128), 2),
    "lite_mono_small": LiteMonoShape((48, 80, 128), 1),
    "lite_mono_tiny": LiteMonoShape((32, 64, 128), 1),
    "lite_mono_8m": LiteMonoShape((64, 128, 224), 2, widens=False),
}


def dilations(shape: LiteMonoShape, wide: bool) -> tuple[tuple[int, ...], ...]:
    """Dilation of every convolution of the three stages.

    Args:
        shape: The network's size.
        wide: For images of about 1024x320; else 640x192.
    """
    largest = 5 if wide and shape.widens else 3
    few = (1, 2, largest)
    return few, few, few * shape.rounds + (2, 4, 2 * largest)


class DilatedBlock(nn.Module):
    """A dilated depthwise convolution and an inverted bottleneck around a shortcut."""

    def __init__(self, channels: int, dilation: int) -> None:
        """Args: channels in and out, dilation."""
        super().__init__()
        self.depthwise = nn.Conv2d(
            channels, channels, 3, padding=dilation, dilation=dilation, groups=channels, bias=False
        )
        self.batch_norm = nn.BatchNorm2d(channels)
        self.widen = nn.Linear(channels, EXPANSION * channels)
        self.narrow = nn.Linear(EXPANSION * channels, channels)
        self.gain = nn.Parameter(LAYER_SCALE * torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, H, W)`` to the same shape."""
        y = self.batch_norm(self.depthwise(x)).permute(0, 2, 3, 1)  # (B, H, W, C)
        y = self.gain * self.narrow(functional.gelu(self.widen(y)))
        return x + y.permute(0, 3, 1, 2)


class ChannelAttention(nn.Module):
    """Cross-covariance attention (XCA): channels attend to each other over all places."""

    def __init__(self, channels: int) -> None:
        """Args: channels in and out."""
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(HEADS, 1, 1))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, N, channels)`` to the same shape."""
        parts = self.qkv(x).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 4, 1)
        q, k, v = parts[0], parts[1], parts[2]  # (B, heads, C / heads, N)
        q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        weights = torch.softmax(q @ k.transpose(-2, -1) * self.temperature, dim=-1)
        return self.project((weights @ v).permute(0, 3, 1, 2).flatten(2))


class GlobalBlock(nn.Module):
    """Attention over channels and an inverted bottleneck; one closes each stage."""

    def __init__(self, channels: int, has_positions: bool) -> None:
        """Args: channels in and out; whether there is a positional encoding."""
        super().__init__()
        self.positions = nn.Conv2d(2 * FREQUENCIES, channels, 1) if has_positions else None
        self.attention_norm = nn.LayerNorm(channels, eps=NORM_EPSILON)
        self.attention = ChannelAttention(channels)
        self.attention_gain = nn.Parameter(LAYER_SCALE * torch.ones(channels))
        self.norm = nn.LayerNorm(channels, eps=NORM_EPSILON)
        self.widen = nn.Linear(channels, EXPANSION * channels)
        self.narrow = nn.Linear(EXPANSION * channels, channels)
        self.gain = nn.Parameter(LAYER_SCALE * torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, H, W)`` to the same shape."""
        y = x if self.positions is None else x + self.positions(fourier_positions(x))
        y = y.flatten(2).permute(0, 2, 1)  # (B, N, C)
        y = y + self.attention_gain * self.attention(self.attention_norm(y))
        y = self.gain * self.narrow(functional.gelu(self.widen(self.norm(y))))
        return x + y.permute(0, 2, 1).reshape(x.shape)


def fourier_positions(like: Tensor) -> Tensor:
    """Sines and cosines of rows and of columns, as in DETR (Carion et al., ECCV 2020).

    Args:
        like: ``(B, C, H, W)``; its size counts.

    Returns:
        ``(1, 2 FREQUENCIES, H, W)``, rows first; sines and cosines alternate.
    """
    ones = torch.ones_like(like[:1, :1])
    index = torch.arange(FREQUENCIES, device=like.device, dtype=like.dtype)
    period = TEMPERATURE ** (2 * torch.div(index, 2, rounding_mode="floor") / FREQUENCIES)
    waves = []
    for axis in (2, 3):
        count = ones.cumsum(axis)  # 1, 2, ... along the axis
        last = count[:, :, -1:] if axis == 2 else count[..., -1:]
        phase = count / (last + NORM_EPSILON) * (2 * math.pi) / period[:, None, None]
        waves.append(
            torch.stack((phase[:, 0::2].sin(), phase[:, 1::2].cos()), dim=2).flatten(1, 2)
        )
    return torch.cat(waves, dim=1)


class NormGelu(nn.Sequential):
    """3x3 convolution, batch norm, GELU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        """Args: channels in and out, stride."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.activation = nn.GELU()


class LiteMonoEncoder(nn.Module):
    """Features at 1/4, 1/8 and 1/16; the reduced image is seen again before each halving."""

    def __init__(self, shape: LiteMonoShape, wide: bool) -> None:
        """Args: the size; whether dilations are those of 1024x320."""
        super().__init__()
        first, second, third = shape.channels
        self.stem = nn.Sequential(
            NormGelu(3, first, stride=2), NormGelu(first, first), NormGelu(first, first)
        )
        self.halvings = nn.ModuleList(
            (
                _halving(first + 3, first),
                _halving(2 * first + 3, second),
                _halving(2 * second + 3, third),
            )
        )
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(DilatedBlock(channels, dilation) for dilation in stage),
                GlobalBlock(channels, has_positions=index == 0),
            )
            for index, (channels, stage) in enumerate(
                zip(shape.channels, dilations(shape, wide), strict=True)
            )
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """``(B, 3, H, W)`` RGB in [0, 1] to three feature maps, finest first."""
        reduced = normalised(image)
        seen = [self.stem(reduced)]
        features = []
        for halve, stage in zip(self.halvings, self.stages, strict=True):
            reduced = functional.avg_pool2d(reduced, 3, 2, 1)
            x = halve(torch.cat((*seen, reduced), dim=1))
            features.append(stage(x))
            seen = [x, features[-1]]
        return features


class LiteMonoDecoder(nn.Module):
    """Three enlarging stages with a disparity each, which is enlarged once more."""

    def __init__(self, encoder_channels: tuple[int, int, int]) -> None:
        """Args: channels of the encoder's features, finest first."""
        super().__init__()
        here = [channels // 2 for channels in encoder_channels[::-1]]
        below = [encoder_channels[-1], *here[:-1]]
        skips = [*encoder_channels[-2::-1], 0]
        self.reduce = nn.ModuleList(
            _mirrored(inputs, outputs) for inputs, outputs in zip(below, here, strict=True)
        )
        self.join = nn.ModuleList(
            _mirrored(width + skip, width) for width, skip in zip(here, skips, strict=True)
        )
        self.heads = nn.ModuleList(_mirrored(width, 1) for width in here)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Disparity logits at 1, 1/2 and 1/4 of the image's size, finest first."""
        x, logits = features[-1], []
        skips = [*features[-2::-1], None]
        for reduce, join, head, skip in zip(
            self.reduce, self.join, self.heads, skips, strict=True
        ):
            x = enlarged(functional.elu(reduce(x)))
            x = functional.elu(join(x if skip is None else torch.cat((x, skip), dim=1)))
            logits.append(enlarged(head(x)))
        return logits[::-1]


class LiteMono(DepthNetwork):
    """Image to depth at the reference focal length, at 1, 1/2 and 1/4 of its size.

    Inverse depth is linear in the sigmoid between ``1 / max_depth`` and ``1 / min_depth`` (in
    the paper 0.1 and 100).
    """

    smallest_side = 64  # decoder features at 1/32 of less than 2x2 cannot be mirrored

    def __init__(self, config: DepthNetworkConfig) -> None:
        """Build it from its shape."""
        super().__init__(config)
        shape = SHAPES[config.name]
        self.encoder = LiteMonoEncoder(shape, config.wide_dilations)
        self.decoder = LiteMonoDecoder(shape.channels)
        self.encoder.apply(_initialise_encoder)
        self.decoder.apply(_initialise_decoder)

    def outputs(self, image: Tensor) -> list[Tensor]:
        """Disparities (sigmoid) at 1, 1/2 and 1/4 of the image's size."""
        return [torch.sigmoid(logits) for logits in self.decoder(self.encoder(image))]


def lite_mono_encoder(config: DepthNetworkConfig) -> LiteMonoEncoder:
    """The encoder alone, of the size that ``config.name`` names."""
    encoder = LiteMonoEncoder(SHAPES[config.name], config.wide_dilations)
    return encoder.apply(_initialise_encoder)


def _halving(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)


def _mirrored(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")


def _initialise_encoder(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _initialise_decoder(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
