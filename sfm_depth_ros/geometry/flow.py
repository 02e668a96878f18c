# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Optical flow: where each pixel of one image lies in another, in pixels (columns, then rows)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.geometry.pinhole import pixel_grid
from sfm_depth_ros.geometry.warping import grid_to_pixels

# Sundaram et al., ECCV 2010; UnFlow (Meister et al., AAAI 2018) has the same numbers.
RELATIVE, ABSOLUTE = 0.01, 0.5  # of the squared lengths, and pixels squared
# GeoNet (Yin and Shi, CVPR 2018)
ADAPTIVE_PIXELS, ADAPTIVE_SHARE = 3.0, 0.05


def rigid_flow(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """Flow of a static scene, of where its points fall in the sources.

    Args:
        grid: ``(B, S, H, W, 2)`` as of ``warp_sources``.
        size: Height and width of the sources.

    Returns:
        ``(B, S, 2, H, W)`` pixels.
    """
    height, width = grid.shape[2:4]
    columns, rows = pixel_grid(height, width, like=grid)
    own = torch.stack((columns.expand(height, width), rows.expand(height, width)), dim=-1)
    return (grid_to_pixels(grid, *size) - own).permute(0, 1, 4, 2, 3)


def warp_by_flow(image: Tensor, flow: Tensor) -> Tensor:
    """An image sampled where the flow points; what lies outside repeats the border.

    Args:
        image: ``(N, C, H, W)``.
        flow: ``(N, 2, H, W)`` pixels.

    Returns:
        ``(N, C, H, W)``.
    """
    return functional.grid_sample(
        image, _grid(flow), mode="bilinear", padding_mode="border", align_corners=True
    )


def lands_inside(flow: Tensor) -> Tensor:
    """Whether each pixel's flow ``(N, 2, H, W)`` stays in the image, ``(N, 1, H, W)`` bool."""
    return _grid(flow).detach().abs().amax(-1)[:, None] <= 1 + 1e-5


def round_trip(forward: Tensor, backward: Tensor) -> Tensor:
    """What is left of going there and back: ``f(x) + b(x + f(x))``, pixels.

    Args:
        forward: ``(N, 2, H, W)`` flow from the first image to the second.
        backward: ``(N, 2, H, W)`` flow from the second to the first.

    Returns:
        ``(N, 2, H, W)``; zero where both agree.
    """
    return forward + warp_by_flow(backward, forward)


@torch.no_grad()
def visible_by_round_trip(forward: Tensor, backward: Tensor) -> Tensor:
    """Visibility in the other image: ``|f + b|^2 < 0.01 (|f|^2 + |b|^2) + 0.5``, and inside.

    Returns:
        ``(N, 1, H, W)`` bool.
    """
    back = warp_by_flow(backward, forward)
    limit = RELATIVE * (_square(forward) + _square(back)) + ABSOLUTE
    return (_square(forward + back) < limit) & lands_inside(forward)


@torch.no_grad()
def consistent_by_round_trip(forward: Tensor, backward: Tensor) -> Tensor:
    """GeoNet's adaptive check: the round trip ends within max(3 px, 5 % of the flow), and inside.

    Returns:
        ``(N, 1, H, W)`` bool.
    """
    length = _square(forward).sqrt()
    limit = (ADAPTIVE_SHARE * length).clamp(min=ADAPTIVE_PIXELS)
    return (_square(round_trip(forward, backward)).sqrt() < limit) & lands_inside(forward)


def _grid(flow: Tensor) -> Tensor:
    """``(N, H, W, 2)`` in [-1, 1]."""
    height, width = flow.shape[-2], flow.shape[-1]
    columns, rows = pixel_grid(height, width, like=flow)
    x = (flow[:, 0] + columns) * (2 / (width - 1)) - 1
    y = (flow[:, 1] + rows) * (2 / (height - 1)) - 1
    return torch.stack((x, y), dim=-1)


def _square(flow: Tensor) -> Tensor:
    return flow.square().sum(1, keepdim=True)
