# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Optical flow beside depth and motion: unsupervised flow, and what both must agree on.

Unsupervised flow after UnFlow (Meister et al., AAAI 2018); residual flow and its consistency
after GeoNet (Yin and Shi, CVPR 2018); cross-task consistency after DF-Net (Zou et al., ECCV 2018).
Lengths of flow are in per cent of the image's width, so that weights keep their meaning.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.geometry.flow import (
    consistent_by_round_trip,
    lands_inside,
    rigid_flow,
    round_trip,
    visible_by_coverage,
    visible_by_round_trip,
    warp_by_flow,
)
from sfm_depth_ros.losses.context import ReprojectionContext
from sfm_depth_ros.losses.masked_mean import masked_mean
from sfm_depth_ros.losses.photometric import photometric_error

CHECKS = {
    "coverage": visible_by_coverage,
    "relative": visible_by_round_trip,
    "adaptive": consistent_by_round_trip,
}
EDGE = 10.0  # flow may change where the image does by more than 1 / EDGE of its range


def flow(context: ReprojectionContext) -> Tensor | None:
    """Photometric error of the sources warped by flow, where visible; mean over scales.

    Each scale's flow warps images of its own size: at full size a coarse flow would converge
    only over a pixel or two. What a moderator takes for static counts as little as it is likely
    to be.
    """
    predicted = context.predicted.flow
    if predicted is None:
        return None
    visible, means = flow_visibility(context).to(predicted.backward.dtype), []
    for scale in range(len(predicted.forward)):
        error, inside = flow_errors(context, scale)
        size = (error.shape[-2], error.shape[-1])
        if predicted.static is not None:
            error = error * (1 - shrunk(predicted.static[:, :, 0], size))
        means.append(masked_mean(error, shrunk(visible, size) * inside))
    return torch.stack(means).mean()


def flow_smoothness(context: ReprojectionContext) -> Tensor | None:
    """Edge-aware smoothness of the finest flow."""
    predicted = context.predicted.flow
    if predicted is None:
        return None
    return edge_aware_flow_smoothness(predicted.forward[0], context.observed.target)


def flow_consistency(context: ReprojectionContext) -> Tensor | None:
    """Length of the round trip where it is consistent (GeoNet), per cent of the width."""
    predicted = context.predicted.flow
    if predicted is None:
        return None
    forward, backward = predicted.forward[0].flatten(0, 1), predicted.backward.flatten(0, 1)
    used = consistent_by_round_trip(forward, backward)
    return masked_mean(_length(round_trip(forward, backward)), used)


def cross_task(context: ReprojectionContext) -> Tensor | None:
    """Difference of rigid and free flow where both are valid (DF-Net), per cent of the width."""
    predicted = context.predicted.flow
    if predicted is None:
        return None
    forward, backward = predicted.forward[0].flatten(0, 1), predicted.backward.flatten(0, 1)
    used = visible_by_round_trip(forward, backward).view_as(context.warped(0).valid[:, :, 0])
    used = used & context.warped(0).valid[:, :, 0]
    reverse = context.predicted.rigid_reverse
    if reverse is not None:
        rigid = rigid_flow_of(context).flatten(0, 1)
        visible = visible_by_round_trip(rigid, reverse.flatten(0, 1))
        used = used & visible.view_as(used)
    difference = rigid_flow_of(context) - predicted.forward[0]
    return masked_mean(_length(difference.flatten(0, 1)).view(used.shape), used)


def rigid_flow_of(context: ReprojectionContext) -> Tensor:
    """Flow ``(B, S, 2, H, W)`` of the static scene by the finest depth and the motions."""
    target = context.observed.target
    return rigid_flow(context.warped(0).grid, (target.shape[-2], target.shape[-1]))


def flow_errors(context: ReprojectionContext, scale: int) -> tuple[Tensor, Tensor]:
    """Photometric errors ``(B, S, h, w)`` of a scale's flow, and where it hits valid pixels.

    Target and sources are compared at that flow's size.
    """
    predicted = context.predicted.flow
    assert predicted is not None  # callers have looked
    field, valid = predicted.forward[scale], context.valid
    size, whole = (field.shape[-2], field.shape[-1]), context.observed.target.shape[-1]
    sources = shrunk(context.with_validity(context.observed.sources), size).flatten(0, 1)
    flat = (field * (size[1] / whole)).flatten(0, 1)  # in pixels of its own size
    warped = warp_by_flow(sources, flat).unflatten(0, field.shape[:2])
    inside = lands_inside(flat)[:, 0].unflatten(0, field.shape[:2])
    if valid is not None:
        own = shrunk(valid.to(flat.dtype), size) > 1 - 1e-3
        inside = inside & own & (warped[:, :, 3].detach() > 1 - 1e-3)
        warped = warped[:, :, :3]
    config, is_whole = context.config, size[1] == whole
    window = min(config.ssim_window, 2 * min(size) - 1)  # the largest that the border allows
    error = photometric_error(
        warped, shrunk(context.reference, size), config.ssim_weight, window,
        context.statistics if is_whole else None, config.difference,
    )  # fmt: skip
    return error[:, :, 0], inside


def shrunk(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps ``(..., H, W)`` at a smaller size, each pixel the mean of what it covers."""
    if maps.shape[-2:] == size:
        return maps
    flat = maps.flatten(0, -3)[None]
    return functional.interpolate(flat, size, mode="area")[0].unflatten(0, maps.shape[:-2])


def flow_visibility(context: ReprojectionContext) -> Tensor:
    """Pixels ``(B, S, H, W)`` whose finest flow is visible in the source, by ``flow_check``."""
    predicted = context.predicted.flow
    assert predicted is not None  # callers have looked
    check = CHECKS[context.config.flow_check]
    forward, backward = predicted.forward[0], predicted.backward
    return check(forward.flatten(0, 1), backward.flatten(0, 1)).view(
        *forward.shape[:2], *forward.shape[-2:]
    )


def edge_aware_flow_smoothness(field: Tensor, image: Tensor) -> Tensor:
    """Mean ``|grad f| exp(-10 |grad I|)`` over x and y, f in per cent of the width.

    Args:
        field: ``(B, S, 2, H, W)`` pixels.
        image: ``(B, 3, H, W)`` in [0, 1].

    Returns:
        Scalar.
    """
    parts = []
    for dim in (-1, -2):
        with torch.no_grad():
            edge = image.diff(dim=dim).abs().mean(1)[:, None, None]  # (B, 1, 1, H, W)
        parts.append((_per_cent(field).diff(dim=dim).abs() * torch.exp(-EDGE * edge)).mean())
    return torch.stack(parts).sum()


def _length(field: Tensor) -> Tensor:
    """``(N, 2, H, W)`` pixels to ``(N, 1, H, W)`` per cent of the width; no root of zero."""
    square = _per_cent(field).square().sum(1, keepdim=True)
    is_nothing = square < 1e-12
    return square.masked_fill(is_nothing, 1).sqrt().masked_fill(is_nothing, 0)


def _per_cent(field: Tensor) -> Tensor:
    return field * (100.0 / field.shape[-1])
