# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encoders of the package timm, where it is installed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.config.networks import TIMM, DepthNetworkConfig
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.networks.blocks import normalised
from sfm_depth_ros.networks.depth_network import DepthNetwork
from sfm_depth_ros.networks.resnet import ResNetEncoder, load_pretrained
from sfm_depth_ros.optional import require

REDUCTIONS = (2, 4, 8, 16, 32)  # the image's size over a feature map's


class TimmEncoder(nn.Module):
    """Feature maps of a timm model, from scratch."""

    def __init__(self, name: str) -> None:
        """Build the model.

        Args:
            name: As timm knows it, for example ``"resnet26"``.

        Raises:
            MissingDependencyError: timm is absent or cannot be imported.
            ConfigError: timm has no such model, or its features do not fit the decoder.
        """
        super().__init__()
        timm = require("timm")
        try:
            self.model = timm.create_model(name, pretrained=False, features_only=True)
        except (RuntimeError, ValueError, TypeError, AssertionError, AttributeError) as error:
            raise ConfigError(
                f"name: timm cannot build {name!r} as an encoder ({error}); choose "
                "one of timm.list_models()"
            ) from error
        info = self.model.feature_info
        place = {reduction: index for index, reduction in enumerate(info.reduction())}
        if any(reduction not in place for reduction in REDUCTIONS[1:]):
            raise ConfigError(
                f"name: timm's {name!r} gives features at 1/{sorted(place)} of the "
                "image, expected 1/4, 1/8, 1/16 and 1/32; choose a convolutional "
                "model"
            )
        self.places = [place.get(reduction) for reduction in REDUCTIONS]
        widths = info.channels()
        # at 1/2, 1/4, 1/8, 1/16 and 1/32; 0 where the model has none (many begin at 1/4)
        self.channels = [0 if index is None else widths[index] for index in self.places]

    def forward(self, image: Tensor) -> list[Tensor | None]:
        """``(B, 3, H, W)`` RGB in [0, 1] to five feature maps, finest first; None = absent.

        Raises:
            ConfigError: The model takes one size of images alone.
        """
        try:
            features = self.model(normalised(image))
        except AssertionError as error:
            raise ConfigError(
                f"name: this timm model does not take every image ({error}); "
                "choose a convolutional one"
            ) from error
        return [None if index is None else features[index] for index in self.places]


CHANNELS = (256, 128, 64, 32, 16)  # of the stages at 1/16, 1/8, 1/4, 1/2 and 1
HEADS = 4


class SkipDecoder(nn.Module):
    """Five enlarging stages, coarse to fine, with a disparity at 1/8, 1/4, 1/2 and 1."""

    def __init__(self, encoder_channels: list[int]) -> None:
        """Build it for an encoder.

        Args:
            encoder_channels: Channels of the features at 1/2, 1/4, 1/8, 1/16 and 1/32; 0 for a
                size that the encoder lacks.
        """
        super().__init__()
        skips = [*encoder_channels[-2::-1], 0]  # joined with each stage's enlarged features
        below = [encoder_channels[-1], *CHANNELS[:-1]]
        self.reduce = nn.ModuleList(
            _convolution(inputs, here) for inputs, here in zip(below, CHANNELS, strict=True)
        )
        self.join = nn.ModuleList(
            _convolution(here + skip, here) for here, skip in zip(CHANNELS, skips, strict=True)
        )
        self.heads = nn.ModuleList(_convolution(here, 1) for here in CHANNELS[-HEADS:])

    def forward(self, features: list[Tensor | None]) -> list[Tensor]:
        """Disparity logits at all scales.

        Args:
            features: The encoder's, finest (1/2) first; None for a size that it lacks.

        Returns:
            Four ``(B, 1, h, w)``, finest (the image's size) first.
        """
        stages = self.stages(features)
        return [head(x) for head, x in zip(self.heads, stages[-HEADS:], strict=True)][::-1]

    def finest(self, features: list[Tensor | None]) -> Tensor:
        """The finest disparity logits alone, ``(B, 1, H, W)``."""
        logits: Tensor = self.heads[-1](self.stages(features)[-1])
        return logits

    def stages(self, features: list[Tensor | None]) -> list[Tensor]:
        """Decoded features at 1/16, 1/8, 1/4, 1/2 and 1."""
        x, decoded = features[-1], []
        skips = [*features[-2::-1], None]
        for reduce, join, skip in zip(self.reduce, self.join, skips, strict=True):
            x = functional.interpolate(_elu(reduce(x)), scale_factor=2.0, mode="nearest")
            x = _elu(join(x if skip is None else torch.cat((x, skip), dim=1)))
            decoded.append(x)
        return decoded


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that mirrors the image at its border."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")


def _elu(x: Tensor) -> Tensor:
    return functional.elu(x, inplace=True)


class EncodedDepthNet(DepthNetwork):
    """Image to depth at the reference focal length, at 1, 1/2, 1/4 and 1/8 of its size.

    Inverse depth is linear in the sigmoid between ``1 / max_depth`` and ``1 / min_depth`` (in
    the paper 0.1 and 100).
    """

    smallest_side = 64  # features at 1/32 must be at least 2x2: they are mirrored at the border

    def __init__(self, config: DepthNetworkConfig, encoder: ResNetEncoder | TimmEncoder) -> None:
        """Args: the network's shape; the encoder, with features at 1/4 to 1/32 at least."""
        super().__init__(config)
        self.encoder = encoder
        self.decoder = SkipDecoder(encoder.channels)

    def outputs(self, image: Tensor) -> list[Tensor]:
        """Disparities (sigmoid) at 1, 1/2, 1/4 and 1/8 of the image's size."""
        return [torch.sigmoid(logits) for logits in self.decoder(self.encoder(image))]

    def finest(self, image: Tensor) -> Tensor:
        """The finest disparity, without the heads of the coarser ones."""
        return torch.sigmoid(self.decoder.finest(self.encoder(image)))


def resnet_encoder(config: DepthNetworkConfig) -> ResNetEncoder:
    """The ResNet that ``config.name`` names.

    Raises:
        ModelError: ``config.pretrained`` cannot be read or is of another encoder.
    """
    encoder = ResNetEncoder(int(config.name.removeprefix("resnet")))
    if config.pretrained:
        load_pretrained(encoder, config.pretrained)
    return encoder


def timm_encoder(config: DepthNetworkConfig) -> TimmEncoder:
    """The timm encoder that ``config.name`` names.

    Raises:
        MissingDependencyError: timm cannot be imported.
        ConfigError: timm does not know the encoder, or its features do not fit.
    """
    return TimmEncoder(config.name.removeprefix(TIMM))


def resnet_depth_net(config: DepthNetworkConfig) -> EncodedDepthNet:
    """Monodepth2's network with the ResNet that ``config.name`` names.

    Raises:
        ModelError: ``config.pretrained`` cannot be read or is of another encoder.
    """
    return EncodedDepthNet(config, resnet_encoder(config))


def timm_depth_net(config: DepthNetworkConfig) -> EncodedDepthNet:
    """Monodepth2's decoder behind the timm encoder that ``config.name`` names.

    Raises:
        MissingDependencyError: timm cannot be imported.
        ConfigError: timm does not know the encoder, or its features do not fit.
    """
    return EncodedDepthNet(config, timm_encoder(config))
