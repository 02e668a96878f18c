# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Feature reconstruction: the target's dense features rebuilt from other images through depth.

After Zhan et al., CVPR 2018 (Depth-VO-Feat). Colours change with light, exposure and glare;
features that have learnt to recognise things hardly do.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.geometry.warping import project_points
from sfm_depth_ros.losses.context import ReprojectionContext
from sfm_depth_ros.losses.masked_mean import masked_mean
from sfm_depth_ros.losses.reprojection import (
    inside_sources,
    known_stereo,
    reduce_sources,
    visible_sources,
)

STRIDE = 2  # features are compared at every second pixel of both axes: they are that coarse


def feature_reconstruction(context: ReprojectionContext) -> Tensor | None:
    """Mean difference of features, temporal and stereo, by the finest depth."""
    parts = [part for part in (temporal(context), stereo(context)) if part is not None]
    return torch.stack(parts).mean() if parts else None


def temporal(context: ReprojectionContext) -> Tensor | None:
    """Features of the target rebuilt from the sources', with the photometric error's masks."""
    features = context.predicted.features
    if features is None:
        return None
    warped = context.warped(0)
    inside = inside_sources(warped, context)
    visible = visible_sources(context)
    if visible is not None:
        inside = inside & visible
    size = (inside.shape[-2], inside.shape[-1])
    reference = sample_features(features.target[:, None], _own_pixels(warped.grid[:, :1]), size)
    errors = feature_difference(
        sample_features(features.sources, _strided(warped.grid), size), reference
    )
    standing = None
    if context.config.auto_mask:
        own = _own_pixels(warped.grid)
        standing = feature_difference(sample_features(features.sources, own, size), reference)
    error, used = reduce_sources(
        errors, inside[..., ::STRIDE, ::STRIDE], standing, context.config.reduction
    )
    if context.valid is not None:
        used = used & context.valid[..., ::STRIDE, ::STRIDE]
    return masked_mean(error, used)


def stereo(context: ReprojectionContext) -> Tensor | None:
    """Features of the target rebuilt from the right image's; None without a pair."""
    features, pair = context.predicted.features, known_stereo(context)
    if features is None or features.right is None or pair is None:
        return None
    T, known = pair
    points, size = context.points(0)[..., ::STRIDE, ::STRIDE], context.observed.target.shape[-2:]
    grid, inside, _ = project_points(points, context.observed.K, T, (size[0], size[1]))
    own = _own_pixels(context.warped(0).grid[:, :1])
    rebuilt = sample_features(features.right[:, None], grid, (size[0], size[1]))
    reference = sample_features(features.target[:, None], own, (size[0], size[1]))
    used = inside[:, :, 0] & known[:, None, None, None]
    if context.valid is not None:
        used = used & context.valid[..., ::STRIDE, ::STRIDE]
    return masked_mean(feature_difference(rebuilt, reference), used)


def feature_difference(a: Tensor, b: Tensor) -> Tensor:
    """Mean ``|a - b|`` over channels: ``(B, S, C, H, W)`` to ``(B, S, H, W)``."""
    return (a - b).abs().mean(2)


def sample_features(features: Tensor, grid: Tensor, size: tuple[int, int]) -> Tensor:
    """Feature maps at places of the image that they are of.

    Args:
        features: ``(B, S, C, h, w)``, whose pixels tile the image.
        grid: ``(B, S, H', W', 2)``, -1 and 1 at the centres of the image's outermost pixels.
        size: Height and width of the image.

    Returns:
        ``(B, S, C, H', W')``.
    """
    height, width = size
    shrink = grid.new_tensor([(width - 1) / width, (height - 1) / height])
    sampled = functional.grid_sample(
        features.flatten(0, 1), (grid * shrink).flatten(0, 1),
        mode="bilinear", padding_mode="border", align_corners=False,
    )  # fmt: skip
    return sampled.unflatten(0, (features.shape[0], features.shape[1]))


def _strided(grid: Tensor) -> Tensor:
    return grid[:, :, ::STRIDE, ::STRIDE]


@torch.no_grad()
def _own_pixels(grid: Tensor) -> Tensor:
    """The grid that leaves every pixel where it is, strided, of a grid's shape."""
    height, width = grid.shape[2:4]
    rows, columns = (
        torch.linspace(-1, 1, length, dtype=grid.dtype, device=grid.device)[::STRIDE]
        for length in (height, width)
    )
    own = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    return own.expand(*grid.shape[:2], *own.shape)
