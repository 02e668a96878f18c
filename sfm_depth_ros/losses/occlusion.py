# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Occlusion masks: which of the target's points a source can see."""

from __future__ import annotations

import torch
from torch import Tensor

from sfm_depth_ros.geometry.warping import WarpResult, grid_to_pixels, splat_depth, surface_step
from sfm_depth_ros.losses.photometric import box_sum


@torch.no_grad()
def principled_mask(warped: WarpResult, window: int = 1) -> Tensor:
    """Principled mask: where the target's points stay inside the source's view.

    From depth and motion alone, without a network (vid2depth, Mahjourian et al., CVPR 2018). A
    window of the photometric error is in view where all of its pixels are.

    Args:
        warped: The target's points in each source.
        window: Odd side in pixels of the windows that are compared.

    Returns:
        ``(B, S, H, W)`` bool.
    """
    inside = warped.valid[:, :, 0]
    if window == 1:
        return inside
    return box_sum(inside.to(warped.depth.dtype), window) > window**2 - 0.5


@torch.no_grad()
def splat_occlusion_mask(
    warped: WarpResult, size: tuple[int, int] | None = None, tolerance: float = 0.05
) -> Tensor:
    """Splat mask: where none of the target's points hides another from the source (z-buffer).

    The target's points are splatted into a depth buffer of each source; a point is hidden where
    the buffer holds a nearer one. It must be nearer by more than a share of the depth and the
    depth's own change from pixel to pixel: a slanted surface does not hide itself.

    Args:
        warped: The target's points in each source.
        size: Height and width of the sources; None = the target's.
        tolerance: Share of the depth by which a surface must be nearer to hide another.

    Returns:
        ``(B, S, H, W)`` bool: inside the source, and seen.
    """
    depth, valid = warped.depth.flatten(0, 2), warped.valid.flatten(0, 2)  # (B S, H, W)
    height, width = size or (depth.shape[-2], depth.shape[-1])
    pixels = grid_to_pixels(warped.grid.flatten(0, 1), height, width)
    buffer = splat_depth(pixels, depth, valid, (height, width))
    nearest = pixels.nan_to_num(0).round_().long()
    columns = nearest[..., 0].clamp_(0, width - 1)
    rows = nearest[..., 1].clamp_(0, height - 1)
    before = buffer.flatten(1).gather(1, (rows * width + columns).flatten(1)).view_as(depth)
    slack = surface_step(depth, -1) + surface_step(depth, -2) + tolerance * depth
    return (valid & (depth <= before + slack)).view_as(warped.valid[:, :, 0])


@torch.no_grad()
def nearer_mask(warped: WarpResult, sampled: Tensor) -> Tensor:
    """Nearer mask: ``X'_z <= D_s(x')``, points not behind the source's own depth.

    Points behind it are occluded in the source (Depth from Videos in the Wild, Gordon et al.,
    ICCV 2019).

    Args:
        warped: The target's points in each source.
        sampled: ``(B, S, 1, H, W)`` metres, the sources' own depths at ``warped.grid``.

    Returns:
        ``(B, S, H, W)`` bool.
    """
    if sampled.shape != warped.depth.shape:
        raise ValueError(
            f"expected the sources' depths {tuple(warped.depth.shape)}, got {tuple(sampled.shape)}"
        )
    return (warped.valid & (warped.depth <= sampled))[:, :, 0]
