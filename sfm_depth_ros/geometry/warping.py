# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inverse warping of source images to the target, and forward splatting of its depth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.geometry.pinhole import MIN_Z, check_intrinsics

_EDGE = 1.0 + 1e-5  # half a hundredth of a pixel of rounding at the image's edge is forgiven


@dataclass(frozen=True)
class WarpResult:
    """A source image as seen from the target."""

    image: Tensor  # `(B, C, H, W)` (with several sources `(B, S, C, H, W)`) sampled source
    # `(B, 1, H, W)` (`(B, S, 1, H, W)`) bool, whether the target's point is in front of the source
    # camera and inside its image
    valid: Tensor
    # `(B, 1, H, W)` (`(B, S, 1, H, W)`) metres, depth of the target's points in the source frame
    depth: Tensor
    # `(B, H, W, 2)` (`(B, S, H, W, 2)`) where in the source each pixel was sampled: x and y, -1
    # and 1 at the outermost pixels' centres (`grid_to_pixels`)
    grid: Tensor


def warp_sources(
    sources: Tensor,
    points: Tensor,
    K: Tensor,
    T_source_target: Tensor,
    residual_translation: Tensor | None = None,
    K_source: Tensor | None = None,
    padding: str = "border",
) -> WarpResult:
    """Reconstruct the target from each of several sources with one back-projection.

    Args:
        sources: ``(B, S, C, H, W)`` images, or whatever else their pixels know (depth, masks).
        points: ``(B, 3, H', W')`` metres in the target frame.
        K: ``(B, 3, 3)`` intrinsics of the sources in pixels.
        T_source_target: ``(B, S, 4, 4)``.
        residual_translation: ``(B, S, 3, H', W')`` metres in the source frame, added to each
            transformed point (what moves by itself), or None.
        K_source: ``(B, S, 3, 3)`` where the sources' cameras differ (stereo); used instead of
            ``K``.
        padding: What lies outside the source: ``"border"`` or ``"zeros"``.

    Returns:
        The sources as seen from the target.
    """
    if sources.ndim != 5:
        raise ValueError(f"expected source images (B, S, C, H, W), got {tuple(sources.shape)}")
    size = (sources.shape[-2], sources.shape[-1])
    grid, valid, depth = project_points(
        points, K, T_source_target, size, residual_translation, K_source
    )
    return WarpResult(sample_sources(sources, grid, padding), valid, depth, grid)


def project_points(
    points: Tensor,
    K: Tensor,
    T_source_target: Tensor,
    size: tuple[int, int],
    residual_translation: Tensor | None = None,
    K_source: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Projections of the target's points into each source; arguments as in ``warp_sources``.

    Args:
        points: ``(B, 3, H, W)``.
        K: ``(B, 3, 3)``.
        T_source_target: ``(B, S, 4, 4)``.
        size: Height and width of the sources in pixels.
        residual_translation: ``(B, S, 3, H, W)`` or None.
        K_source: ``(B, S, 3, 3)`` or None.

    Returns:
        Grid, validity and depth as in ``WarpResult``.
    """
    _check_shapes(points, K, T_source_target, residual_translation, K_source)
    (batch, count), (height, width) = T_source_target.shape[:2], points.shape[-2:]
    to_grid = _grid_projection(K[:, None] if K_source is None else K_source, *size)
    projection = to_grid @ T_source_target[:, :, :3]
    rotation = projection[..., :3].reshape(batch, 3 * count, 3)
    shift = projection[..., 3].reshape(batch, 3 * count, 1)
    projected = torch.baddbmm(shift, rotation, points.flatten(2))  # (B, 3 S, H W)
    projected = projected.view(batch * count, 3, height * width)
    if residual_translation is not None:
        each = to_grid.expand(batch, count, 3, 3).reshape(-1, 3, 3)
        residual = residual_translation.reshape(batch * count, 3, -1)
        projected = torch.baddbmm(projected, each, residual)
    xy, z = projected.view(batch * count, 3, height, width).split((2, 1), dim=1)
    grid = xy * z.clamp(min=MIN_Z).reciprocal()
    with torch.no_grad():
        valid = (grid.abs().amax(1, keepdim=True) <= _EDGE) & (z > MIN_Z)
    split = (batch, count)
    grid = grid.permute(0, 2, 3, 1)
    return grid.unflatten(0, split), valid.unflatten(0, split), z.unflatten(0, split)


def sample_sources(sources: Tensor, grid: Tensor, padding: str = "border") -> Tensor:
    """Sample images, or other maps of the sources, at ``WarpResult.grid``.

    Args:
        sources: ``(B, S, C, H, W)``.
        grid: ``(B, S, H', W', 2)`` in [-1, 1].
        padding: What lies outside: ``"border"`` or ``"zeros"``.

    Returns:
        ``(B, S, C, H', W')``.
    """
    if sources.ndim != 5 or grid.ndim != 5 or sources.shape[:2] != grid.shape[:2]:
        raise ValueError(
            "expected sources (B, S, C, H, W) and a grid (B, S, H', W', 2), got "
            f"{tuple(sources.shape)} and {tuple(grid.shape)}"
        )
    sampled = functional.grid_sample(
        sources.flatten(0, 1), grid.flatten(0, 1),
        mode="bilinear", padding_mode=padding, align_corners=True,
    )  # fmt: skip
    return sampled.unflatten(0, (sources.shape[0], sources.shape[1]))


def grid_to_pixels(grid: Tensor, height: int, width: int) -> Tensor:
    """Columns and rows ``(..., 2)`` in a source of that size, of a grid ``(..., 2)``."""
    return (grid + 1) * grid.new_tensor([(width - 1) / 2, (height - 1) / 2])


def _grid_projection(K: Tensor, height: int, width: int) -> Tensor:
    """K ``(..., 3, 3)`` that projects to sampling coordinates in [-1, 1] instead of pixels."""
    sx, sy = 2.0 / max(width - 1, 1), 2.0 / max(height - 1, 1)
    return K.new_tensor([[sx, 0.0, -1.0], [0.0, sy, -1.0], [0.0, 0.0, 1.0]]) @ K


def _check_shapes(
    points: Tensor,
    K: Tensor,
    T_source_target: Tensor,
    residual_translation: Tensor | None,
    K_source: Tensor | None,
) -> None:
    if points.ndim != 4 or points.shape[1] != 3:
        raise ValueError(f"expected points (B, 3, H, W), got {tuple(points.shape)}")
    batch, size = points.shape[0], tuple(points.shape[-2:])
    if T_source_target.ndim != 4 or T_source_target.shape[::2] != (batch, 4):
        raise ValueError(
            f"expected T_source_target ({batch}, S, 4, 4), got {tuple(T_source_target.shape)}"
        )
    count = T_source_target.shape[1]
    check_intrinsics(K, batch)
    if K_source is not None and K_source.shape != (batch, count, 3, 3):
        raise ValueError(
            f"expected K_source ({batch}, {count}, 3, 3), got {tuple(K_source.shape)}"
        )
    if residual_translation is not None and (
        residual_translation.shape != (batch, count, 3, *size)
    ):
        raise ValueError(
            f"expected residual_translation {(batch, count, 3, *size)}, "
            f"got {tuple(residual_translation.shape)}"
        )


# A pixel's footprint in the source, in pixels: approaching by half of its distance doubles it.
LARGEST_FOOTPRINT = 2


@torch.no_grad()
def splat_depth(pixels: Tensor, depth: Tensor, valid: Tensor, size: tuple[int, int]) -> Tensor:
    """Depth buffer of points that lie on a grid of pixels: the nearest wins.

    Each point covers as many pixels as its distance from its neighbours on the same surface
    (at least one, at most ``LARGEST_FOOTPRINT``), so that what comes nearer, and is magnified,
    leaves no holes through which one would see what lies behind; a step in depth is not bridged.

    Args:
        pixels: ``(N, H, W, 2)`` columns and rows in the image that is splatted into.
        depth: ``(N, H, W)`` metres along its optical axis.
        valid: ``(N, H, W)`` bool; other points are not splatted.
        size: Height and width of that image.

    Returns:
        ``(N, height, width)`` metres, infinite where no point falls.
    """
    if pixels.shape != (*depth.shape, 2) or depth.ndim != 3 or valid.shape != depth.shape:
        raise ValueError(
            "expected pixels (N, H, W, 2), depth and valid (N, H, W), got "
            f"{tuple(pixels.shape)}, {tuple(depth.shape)} and {tuple(valid.shape)}"
        )
    height, width = size
    columns = _covered(pixels[..., 0], dim=-1, length=width)
    rows = _covered(pixels[..., 1], dim=-2, length=height)
    count = len(depth)
    offset = torch.arange(count, device=depth.device).view(-1, 1, 1) * (height * width)
    depth = depth.masked_fill(~valid, torch.inf)
    index = torch.stack([offset + row * width + column for row in rows for column in columns])
    buffer = depth.new_full((count * height * width,), torch.inf)
    buffer.scatter_reduce_(0, index.flatten(), depth.expand_as(index).flatten(), "amin")
    return buffer.view(count, height, width)


def surface_step(values: Tensor, dim: int) -> Tensor:
    """Distance of neighbours along ``dim`` on the same surface, in the values' unit.

    The smaller of the distances to the neighbours before and after: at the edge of a surface only
    one of them belongs to it.

    Args:
        values: Any shape, a depth or a position for each pixel.
        dim: Axis along which neighbours are compared.

    Returns:
        The shape of ``values``, never negative; zero where there is no neighbour.
    """
    if values.shape[dim] < 2:
        return torch.zeros_like(values)
    step = values.diff(dim=dim).abs_()
    first, last = step.narrow(dim, 0, 1), step.narrow(dim, step.shape[dim] - 1, 1)
    return torch.minimum(torch.cat([first, step], dim), torch.cat([step, last], dim))


def _covered(position: Tensor, dim: int, length: int) -> list[Tensor]:
    """First and last pixels, int64 in [0, length), that points cover along one axis."""
    half = surface_step(position, dim).clamp_(1, LARGEST_FOOTPRINT).nan_to_num_(1).div_(2)
    # Half-open intervals around neighbours tile: each pixel's centre lies in exactly one.
    first = (position - half).ceil_()
    last = (position + half).ceil_().sub_(1)
    return [x.nan_to_num_(0).clamp_(0, length - 1).long() for x in (first, last)]
