# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dense features of images, from a frozen ImageNet encoder or from a depth network's own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.networks.efficientnet_lite import TAPS, EfficientNetLite0
from sfm_depth_ros.networks.efficientnet_weights import load_imagenet_weights

LEVELS = 2  # feature maps that are joined: those at 1/2 and 1/4 of the image's size
_FLAT = 1e-4  # standard deviation of a channel below which it carries nothing


class FrozenFeatures(nn.Module):
    """The first blocks of EfficientNet-Lite0 with ImageNet weights, which never learn.

    Args:
        weights: ``imagenet`` for those of the installed package, or a file; empty = random.

    Raises:
        MissingDependencyError: The package with the weights is not installed.
        ModelError: The weights cannot be read or are others.
    """

    def __init__(self, weights: str) -> None:
        super().__init__()
        encoder = EfficientNetLite0()
        if weights:
            load_imagenet_weights(encoder, weights)
        del encoder.blocks[TAPS[LEVELS - 1] + 1 :]
        self.encoder = encoder
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FrozenFeatures:
        """Stay in eval mode: batch norms keep ImageNet's statistics."""
        return super().train(False)

    def forward(self, image: Tensor) -> Tensor:
        """``(B, 3, H, W)`` RGB in [0, 1] to ``(B, C, H / 2, W / 2)``, see ``joined``."""
        return joined(self.encoder(image))


@torch.no_grad()
def encoder_features(depth_net: nn.Module, image: Tensor) -> Tensor:
    """The same of a depth network's own encoder, as it is at present.

    Running statistics of batch norms are used and left as they are.
    """
    encoder: nn.Module = depth_net.get_submodule("encoder")
    was_training = [(module, module.training) for module in encoder.modules()]
    encoder.eval()
    try:
        features = [found for found in encoder(image) if found is not None]
    finally:
        for module, mode in was_training:
            module.training = mode
    return joined(features)


def joined(features: Sequence[Tensor]) -> Tensor:
    """The finest feature maps as one, each channel of each image standardised.

    Zero mean and unit deviation over the image: a change of the light, which is about a gain and
    an offset of the features, cancels.

    Args:
        features: Feature maps, each half as large as the one before.

    Returns:
        ``(B, C, h, w)`` of the first one's size.
    """
    size = (features[0].shape[-2], features[0].shape[-1])
    parts = [
        found if index == 0 else
        functional.interpolate(found, size, mode="bilinear", align_corners=False)
        for index, found in enumerate(features[:LEVELS])
    ]  # fmt: skip
    stacked = torch.cat(parts, dim=1)
    mean = stacked.mean((2, 3), keepdim=True)
    deviation = (stacked - mean).square().mean((2, 3), keepdim=True).sqrt()
    return (stacked - mean) / deviation.clamp(min=_FLAT)
