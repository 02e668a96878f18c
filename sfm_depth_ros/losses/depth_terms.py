# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What depth must be like by itself, and from one image to the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.losses.masked_mean import masked_mean
from sfm_depth_ros.losses.scene import Scene
from sfm_depth_ros.losses.smoothness import edge_aware_smoothness


def smoothness(scene: Scene) -> Tensor:
    """Mean over scales of the edge-aware smoothness, halved at each coarser one."""
    images = _image_pyramid(scene.observed.target, scene.inverse_depths)
    return torch.stack([
        edge_aware_smoothness(inverse, image, scene.config.smoothness_order) / 2**scale
        for scale, (inverse, image) in enumerate(zip(scene.inverse_depths, images, strict=True))
    ]).mean()


def consistency(scene: Scene) -> Tensor | None:
    """Mean relative difference between the depths of target and sources (SC-SfMLearner)."""
    if scene.disagreement is None:
        return None
    return masked_mean(*scene.disagreement)


@torch.no_grad()
def _image_pyramid(image: Tensor, levels: Sequence[Tensor]) -> Iterator[Tensor]:
    """The image area-averaged to each level's size, each from the one before."""
    for level in levels:
        size = (level.shape[-2], level.shape[-1])
        if image.shape[-2:] != size:
            image = functional.interpolate(image, size, mode="area")
        yield image
