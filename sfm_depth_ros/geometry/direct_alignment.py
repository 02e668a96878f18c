# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Direct alignment: camera motion from two images and the depth of one, differentiably.

Gauss-Newton on the difference of intensities, coarse to fine, in the inverse compositional form
(Baker and Matthews 2004): the Jacobian belongs to the target and is computed once a level. As a
layer of a network after DDVO (Wang et al., CVPR 2018); gradients pass through every iteration to
depth and start. Depths are normalised by their mean inverse, so that damping has no unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.se3 import (
    compose_transform,
    invert_transform,
    motion_to_transform,
)
from sfm_depth_ros.geometry.warping import project_points, sample_sources

LUMA = (0.299, 0.587, 0.114)
SMALLEST_SIDE = 12  # pixels: no level is smaller
LONGEST_STEP = 0.5  # mean depths and radians
FLAT = 1e-6  # added to the Hessian for each pixel, so that a grey image moves nothing


@dataclass(frozen=True)
class AlignmentOptions:
    """Pyramid, pace and robustness of the alignment."""

    levels: int = 4  # Halvings of the image, the image itself included
    iterations: int = 4  # Gauss-Newton steps a level
    residual: float = 0.1  # Difference of intensities in [0, 1] that counts half
    # Share of the Hessian's diagonal added to it. Through a depth that is still flat, rotation and
    # sideways motion look alike: with 1e-3 the motion slid along them by 5 to 8 degrees on
    # rendered drives, with this by 1. Through true depth both converge alike.
    damping: float = 0.03


@dataclass(frozen=True)
class _Level:
    """The target, its sources and points at one size of the image."""

    target: Tensor  # (B, 1, 1, H, W)
    sources: Tensor  # (B, S, 1, H, W)
    points: Tensor  # (B, 3, H, W)
    K: Tensor  # (B, 3, 3)
    jacobian: Tensor  # (B, 1, 6, H W)


def align(
    target: Tensor,
    sources: Tensor,
    depth: Tensor,
    K: Tensor,
    T_start: Tensor,
    options: AlignmentOptions = AlignmentOptions(),
) -> Tensor:
    """Motions that bring the target's points onto the same intensities in its sources.

    Args:
        target: ``(B, 3, H, W)`` RGB in [0, 1].
        sources: ``(B, S, 3, H, W)``.
        depth: ``(B, 1, H, W)`` metres of the target.
        K: ``(B, 3, 3)`` intrinsics in pixels.
        T_start: ``(B, S, 4, 4)`` motions ``T_source_target`` to begin with, metres.
        options: Pyramid, pace and robustness.

    Returns:
        ``(B, S, 4, 4)`` ``T_source_target`` in metres; the start where its error is not lowered.
    """
    if sources.ndim != 5 or T_start.shape != (*sources.shape[:2], 4, 4):
        raise ValueError(
            "expected sources (B, S, 3, H, W) and T_start (B, S, 4, 4), got "
            f"{tuple(sources.shape)} and {tuple(T_start.shape)}"
        )
    unit = (1 / depth).mean((2, 3))[:, :, None, None]  # (B, 1, 1, 1), 1 / m
    levels = _pyramid(target, sources, depth * unit, K, options.levels)
    start = T = _scaled(T_start, unit)
    for level in reversed(levels):
        for _ in range(options.iterations):
            T = _step(level, T, options)
    is_better = _error(levels[0], T, options) < _error(levels[0], start, options)
    return _scaled(torch.where(is_better[..., None, None], T, start), 1 / unit)


def intensity_jacobian(image: Tensor, points: Tensor, K: Tensor) -> Tensor:
    """Derivative of the intensities at the points' pixels by a small motion of the points.

    Of ``I(project(exp(xi) X))`` at ``xi = 0``, the image's gradient taken between a pixel's
    neighbours.

    Args:
        image: ``(B, 1, H, W)`` intensities.
        points: ``(B, 3, H, W)`` what its pixels show.
        K: ``(B, 3, 3)`` intrinsics in pixels.

    Returns:
        ``(B, 6, H, W)`` by [tx ty tz rx ry rz].
    """
    padded = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    slope_x = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    slope_y = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    focal = torch.diagonal(K[:, :2, :2], dim1=1, dim2=2)[:, :, None, None]  # (B, 2, 1, 1)
    x, y, z = points.split(1, dim=1)
    by_x, by_y = slope_x * focal[:, :1] / z, slope_y * focal[:, 1:] / z
    by_point = torch.cat((by_x, by_y, -(by_x * x + by_y * y) / z), dim=1)
    return torch.cat((by_point, torch.cross(points, by_point, dim=1)), dim=1)


def _step(level: _Level, T: Tensor, options: AlignmentOptions) -> Tensor:
    """One Gauss-Newton step with Cauchy weights."""
    residual, weight = _residual(level, T, options)
    weighted = level.jacobian * weight  # (B, S, 6, N)
    hessian = (weighted @ level.jacobian.transpose(-1, -2)).double()
    gradient = (weighted @ residual.transpose(-1, -2)).double()  # (B, S, 6, 1)
    damping = options.damping * hessian.diagonal(dim1=-2, dim2=-1) + FLAT * residual.shape[-1]
    step = torch.linalg.solve(hessian + torch.diag_embed(damping), gradient)[..., 0]
    length = torch.linalg.vector_norm(step, dim=-1, keepdim=True)
    step = step * (LONGEST_STEP / length.clamp(min=LONGEST_STEP))
    return T @ invert_transform(motion_to_transform(step.to(T.dtype)))


def _residual(level: _Level, T: Tensor, options: AlignmentOptions) -> tuple[Tensor, Tensor]:
    """Differences of intensities and their weights, each ``(B, S, 1, N)``."""
    size = (level.sources.shape[-2], level.sources.shape[-1])
    grid, valid, _ = project_points(level.points, level.K, T, size)
    residual = (sample_sources(level.sources, grid) - level.target).flatten(-2)
    weight = 1 / (1 + (residual / options.residual).square())
    return residual, weight * valid.flatten(-2)


@torch.no_grad()
def _error(level: _Level, T: Tensor, options: AlignmentOptions) -> Tensor:
    """Robust mean error ``(B, S)``; what falls outside counts as badly matched."""
    residual, weight = _residual(level, T, options)
    inside = (weight > 0).to(residual.dtype)
    cost = torch.log1p((residual / options.residual).square()) * inside + (1 - inside)
    return cost.mean((-2, -1))


def _scaled(T: Tensor, factor: Tensor) -> Tensor:
    """Translations ``(B, S, 4, 4)`` times a factor ``(B, 1, 1, 1)`` of each image."""
    return compose_transform(T[..., :3, :3], T[..., :3, 3] * factor[..., 0])


def _pyramid(
    target: Tensor, sources: Tensor, depth: Tensor, K: Tensor, count: int
) -> list[_Level]:
    """Levels, finest first; inverse depth is averaged, being linear on planes."""
    grey = target.new_tensor(LUMA).view(3, 1, 1)
    images = (torch.cat((target[:, None], sources), dim=1) * grey).sum(2)  # (B, 1 + S, H, W)
    inverse, levels = 1 / depth, []
    while True:
        points = backproject(1 / inverse, K)
        first = images[:, :1]
        jacobian = intensity_jacobian(first, points, K).flatten(2)[:, None]
        levels.append(_Level(first[:, None], images[:, 1:, None], points, K, jacobian))
        if len(levels) == count or min(images.shape[-2:]) < 2 * SMALLEST_SIDE:
            return levels
        images, inverse = functional.avg_pool2d(images, 2), functional.avg_pool2d(inverse, 2)
        K = _halved(K)


def _halved(K: Tensor) -> Tensor:
    """Intrinsics of the image of half the size, pixel centres at integers."""
    half = K / 2
    half = half + half.new_tensor([[0, 0, -0.25], [0, 0, -0.25], [0, 0, 0.5]])
    return half
