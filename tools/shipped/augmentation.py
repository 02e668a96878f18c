# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Other cameras and other light for rendered images: crop, zoom, roll, mirror; exposure, noise.

Crops move the horizon and change the focal length, so that a network cannot read depth from the
row of a pixel alone. Light and sensor are changed as strongly as real cameras differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Cropped:
    """Images as a training step takes them."""

    image: Tensor  # `(B, 3, h, w)` RGB in [0, 1]
    depth: Tensor  # `(B, 1, h, w)` metres
    focal: Tensor  # `(B,)` focal length in pixels of these images


@dataclass(frozen=True)
class CropRange:
    """Range of the random windows."""

    smallest: float = 0.72  # Least width of the window, in shares of the rendered image's
    roll_deg: float = 2.0  # Standard deviation of the roll, degrees


def crop(
    images: Tensor,
    depths: Tensor,
    focals: Tensor,
    size: tuple[int, int],
    limits: CropRange,
    generator: torch.Generator,
) -> Cropped:
    """Windows of random place, size and roll, half of them mirrored.

    Args:
        images: ``(B, 3, H, W)`` in [0, 1].
        depths: ``(B, 1, H, W)`` metres.
        focals: ``(B,)`` pixels of the rendered images.
        size: Width and height of the result.
        limits: How much.
        generator: Source of randomness, on the images' device.
    """
    batch, (width, height), device = len(images), size, images.device
    full_height, full_width = images.shape[-2:]
    draw = torch.rand(4, batch, generator=generator, device=device)
    # The window has the result's proportions in pixels; the roll stays inside with its share.
    widest = min(1.0, full_height * width / height / full_width)
    share = limits.smallest * widest + (1 - limits.smallest) * widest * draw[0]
    tall = share * full_width * height / width / full_height
    roll = math.radians(limits.roll_deg) * torch.randn(batch, generator=generator, device=device)
    mirrored = torch.where(draw[3] < 0.5, -1.0, 1.0)
    centre = (2 * draw[1] - 1) * (1 - share), (2 * draw[2] - 1) * (1 - tall)
    aspect = full_height / full_width
    cos, sin = torch.cos(roll), torch.sin(roll)
    row_x = torch.stack([cos * share * mirrored, -sin * tall * aspect, centre[0]], 1)
    row_y = torch.stack([sin * share * mirrored / aspect, cos * tall, centre[1]], 1)
    theta = torch.stack([row_x, row_y], 1)
    grid = functional.affine_grid(theta, [batch, 1, height, width], align_corners=False)
    image = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    depth = functional.grid_sample(
        depths, grid, mode="nearest", padding_mode="reflection", align_corners=False
    )
    return Cropped(image, depth, focals * width / (share * full_width))


def relight(image: Tensor, generator: torch.Generator) -> Tensor:
    """Exposure, gamma, contrast, colour, grey cameras, uneven light, blur or sharpening, noise.

    Args:
        image: ``(B, 3, H, W)`` in [0, 1].
        generator: Source of randomness, on the image's device.

    Returns:
        The same shape, in [0, 1].
    """
    batch = len(image)

    def normal(*shape: int) -> Tensor:
        return image.new_empty(batch, *shape).normal_(generator=generator)

    def uniform(low: float = 0.0, high: float = 1.0) -> Tensor:
        return image.new_empty(batch, 1, 1, 1).uniform_(low, high, generator=generator)

    def chance(share: float) -> Tensor:
        return uniform() < share

    # Gamma, gain and colour in one exponential of the logarithm.
    light = 0.25 * normal(1, 1, 1) + 0.06 * normal(3, 1, 1)
    uneven = functional.interpolate(
        0.35 * normal(1, 3, 6) * chance(0.4),
        image.shape[-2:],
        mode="bilinear",
    )
    image = image.clamp(min=1e-3).log_().mul_(torch.exp(0.3 * normal(1, 1, 1)))
    image = image.add_(light).add_(uneven).exp_()
    grey = (image * image.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    image.lerp_(grey, chance(0.45).float())
    mean = image.mean((2, 3), keepdim=True)
    image.sub_(mean).mul_(torch.exp(0.25 * normal(1, 1, 1))).add_(mean)
    soft = functional.avg_pool2d(image, 3, 1, 1, count_include_pad=False)
    image.lerp_(soft, uniform(-0.7, 0.9) * chance(0.6))
    image.add_(normal(1, *image.shape[-2:]) * uniform(0.0, 0.025))
    return image.clamp_(0, 1)


def mix_styles(
    features: list[Tensor], strength: float, generator: torch.Generator
) -> list[Tensor]:
    """Features whose means and deviations by channel are mixed among the images of a batch.

    What a channel's mean and deviation say is the style of an image (light, texture, renderer),
    not its shape: Zhou et al., "Domain generalization with MixStyle", ICLR 2021.

    Args:
        features: Each ``(B, C, h, w)``.
        strength: Largest share of the other image's style; 0 = features as they are.
        generator: Source of randomness, on the features' device.
    """
    batch, device = len(features[0]), features[0].device
    partner = torch.randperm(batch, generator=generator, device=device)
    draw = torch.rand(batch, 1, 1, 1, generator=generator, device=device)
    keep = 1 - strength * draw
    mixed = []
    for feature in features:
        spread, mean = torch.std_mean(feature.float(), (2, 3), keepdim=True)
        spread = spread + 1e-4
        gain = torch.lerp(spread[partner], spread, keep) / spread
        offset = torch.lerp(mean[partner], mean, keep) - mean * gain
        mixed.append(torch.addcmul(offset, feature, gain))
    return mixed
