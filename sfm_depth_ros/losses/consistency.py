# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Consistency of depth between views: target and sources, left and right image."""

from __future__ import annotations

import torch
from torch import Tensor

from sfm_depth_ros.geometry.pinhole import pixel_grid
from sfm_depth_ros.geometry.stereo import sample_along_rows
from sfm_depth_ros.geometry.warping import WarpResult
from sfm_depth_ros.losses.masked_mean import counted


def depth_consistency(warped: WarpResult, sampled: Tensor) -> tuple[Tensor, Tensor]:
    """Depth consistency between views, ``|a - b| / (a + b)`` of two depths of one point.

    a is the depth of the target's points in the source (``warped.depth``), b the source's own
    depth at their pixels: symmetric, and in [0, 1) at any scale (SC-SfMLearner, Bian et al.,
    NeurIPS 2019). One minus it is their self-discovered mask: moving things and occlusions weigh
    less.

    Args:
        warped: The target's points in each source, from ``warp_sources``.
        sampled: ``(B, S, 1, H, W)`` metres, the sources' own depth at ``warped.grid``: a channel
            of ``warped.image`` where depths were warped with the colours, else by
            ``sample_sources``.

    Returns:
        Difference ``(B, S, H, W)``, zero where not valid, and where it is valid, bool, likewise:
        inside the source, both depths positive and finite.
    """
    projected = warped.depth
    if sampled.shape != projected.shape:
        raise ValueError(
            f"expected the sources' depths {tuple(projected.shape)}, got {tuple(sampled.shape)}"
        )
    valid = warped.valid & (sampled > 0) & sampled.isfinite() & projected.isfinite()
    a, b = projected.masked_fill(~valid, 1), sampled.masked_fill(~valid, 1)
    return ((a - b).abs() / (a + b))[:, :, 0], valid[:, :, 0]


def left_right_consistency(left: Tensor, right: Tensor, valid: Tensor | None = None) -> Tensor:
    """Left-right disparity consistency, as a share of the image's width.

    Mean of |d_l(x) - d_r(x - d_l(x))| plus mean of |d_r(x) - d_l(x + d_r(x))| over the pixels that
    fall inside the other image (Monodepth, Godard et al., CVPR 2017).

    Args:
        left: ``(B, 1, H, W)`` disparities in pixels of the left image; not finite = unknown.
        right: ``(B, 1, H, W)`` of the right image.
        valid: ``(B,)`` bool, which images are stereo pairs, or None = all.

    Returns:
        Scalar; zero where nothing can be compared.
    """
    if left.shape != right.shape or left.ndim != 4 or left.shape[1] != 1:
        raise ValueError(
            "expected left and right disparities (B, 1, H, W), got "
            f"{tuple(left.shape)} and {tuple(right.shape)}"
        )
    return _one_direction(left, right, -1, valid) + _one_direction(right, left, 1, valid)


def _one_direction(own: Tensor, other: Tensor, direction: int, valid: Tensor | None) -> Tensor:
    columns, _ = pixel_grid(own.shape[-2], own.shape[-1], like=own)
    own_known, other_known = own.isfinite(), other.isfinite()
    own, other = own.masked_fill(~own_known, 0), other.masked_fill(~other_known, 0)
    sampled, inside = sample_along_rows(other, columns + direction * own)
    compared = inside & own_known
    if not other_known.all():
        share, _ = sample_along_rows(other_known.to(own.dtype), columns + direction * own.detach())
        compared = compared & (share > 1 - 1e-3)
    if valid is not None:
        compared = compared & valid.view(-1, 1, 1, 1)
    difference = torch.where(compared, (own - sampled).abs(), 0)
    return difference.sum() / (counted(compared.sum()) * own.shape[-1])
