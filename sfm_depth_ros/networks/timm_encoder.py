# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encoders of the package timm, where it is installed."""

from __future__ import annotations

from torch import Tensor, nn

from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.networks.blocks import normalised
from sfm_depth_ros.optional import require

REDUCTIONS = (2, 4, 8, 16, 32)  # the image's size over a feature map's


class TimmEncoder(nn.Module):
    """Feature maps of a timm model, from scratch.

    Attributes:
        channels: Channels at 1/2, 1/4, 1/8, 1/16 and 1/32; 0 where the model has none (many
            begin at 1/4).
    """

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
