# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ICP loss: alignment of the point clouds of two images under the camera's motion.

After vid2depth (Mahjourian et al., CVPR 2018), which pairs every point with the nearest of the
other cloud by a search. Here the clouds are images: a point's partner is what the other camera
sees at its pixel (projective association), and its distance from the surface there counts, not
from the sample (point to plane, Chen and Medioni 1992): two images never sample the same points,
and the distance between samples is no error.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfm_depth_ros.geometry.pinhole import MIN_Z, check_intrinsics
from sfm_depth_ros.geometry.se3 import compose, matrix_to_axis_angle, motion_to_transform
from sfm_depth_ros.losses.masked_mean import counted

# Pairs that are farther apart than this many times the median are outliers (occlusions, things
# that move), unless they are as near as this share of their distance from the camera: most of a
# scene may not notice a motion that its few walls at the sides show. Once the first alignment has
# brought the clouds together, less is forgiven.
CUT_OFF, NEAR_ENOUGH, NEAR_ONCE_ALIGNED = 3.0, 0.1, 0.02
_DAMPING = 1e-6  # share of the mean diagonal: a wall alone leaves some directions undetermined
_FEWEST = 12  # pairs; twice the unknowns of a motion


@dataclass(frozen=True)
class _Pairs:
    """Surfaces of b that P points of a are paired with; detached."""

    index: Tensor  # (N, P) pixel of b
    normal: Tensor  # (N, 3, P) of the surface there
    weight: Tensor  # (N, P): 1 / distance from the camera, 0 = no pair

    def distances(self, points: Tensor, cloud: Tensor) -> Tensor:
        """Signed distances of points from their surfaces, relative to those from the camera.

        Args:
            points: ``(N, 3, P)``.
            cloud: ``(N, 3, H W)``, which ``index`` counts.

        Returns:
            ``(N, P)`` with sign; zero where there is no pair.
        """
        partner = cloud.gather(2, self.index[:, None].expand(-1, 3, -1))
        return ((points - partner) * self.normal).sum(1) * self.weight


def icp_loss(
    points_a: Tensor, points_b: Tensor, T_b_a: Tensor, K: Tensor, iterations: int = 2
) -> tuple[Tensor, Tensor]:
    """Residual motion of the alignment, and distances of the points that remain after it.

    The points of a, moved by ``T_b_a``, are aligned with the surfaces of b by ``iterations``
    linearised alignments (Gauss-Newton), each with pairs of its own. The correction, penalised
    against the identity, has a gradient to the motion alone, the remaining distances to the depths
    alone, as published. Pairing is not differentiable.

    Distances count relative to those from the camera, for the error of a predicted depth grows
    with it. (The published residual is in depth's own unit.)

    Args:
        points_a: ``(B, 3, H, W)`` metres, the target's points in its camera; every fourth row and
            column will do, and costs a sixteenth.
        points_b: ``(B, S, 3, H', W')`` metres, the sources' points in their cameras.
        T_b_a: ``(B, S, 4, 4)``, ``T_source_target``.
        K: ``(B, 3, 3)`` intrinsics in pixels of ``points_b``.
        iterations: Number of pairings and alignments.

    Returns:
        Transform residual, mean over motions of |translation|_1 + |axis-angle|_1 (metres and
        radians), and point residual, mean over pairs of the distance relative to that from the
        camera. Zero where too few points can be paired.
    """
    _check(points_a, points_b, T_b_a, K, iterations)
    count = T_b_a.shape[1]
    a = points_a.nan_to_num(0, 0, 0)[:, None].expand(-1, count, -1, -1, -1).flatten(0, 1)
    b, T = points_b.nan_to_num(0, 0, 0).flatten(0, 1), T_b_a.flatten(0, 1)
    a, cloud, b = a.flatten(2), b.detach(), b.flatten(2)
    K = K.detach().repeat_interleave(count, 0)
    moved = _transform(T, a.detach())
    correction = torch.eye(4, dtype=T.dtype, device=T.device).expand(len(T), 4, 4)
    for number in range(iterations):
        # Only the last alignment is differentiable.
        correction = correction.detach()
        placed = _transform(correction, moved)
        near_enough = NEAR_ENOUGH if number == 0 else NEAR_ONCE_ALIGNED
        pairs = _pair(placed.detach(), cloud, K, near_enough)
        step = _alignment(placed, pairs, cloud.flatten(2))
        correction = compose(motion_to_transform(step), correction)
    rotation = matrix_to_axis_angle(correction[:, :3, :3])
    transform_residual = (correction[:, :3, 3].abs() + rotation.abs()).sum(1).mean()
    left = pairs.distances(_transform((correction @ T).detach(), a), b).abs()
    point_residual = left.sum() / counted((pairs.weight > 0).sum())
    return transform_residual, point_residual


@torch.no_grad()
def _pair(points: Tensor, cloud: Tensor, K: Tensor, near_enough: float) -> _Pairs:
    """Pair points ``(N, 3, P)`` with the surfaces that a cloud ``(N, 3, H, W)`` shows there."""
    height, width = cloud.shape[-2:]
    z = points[:, 2]
    focal, centre = torch.diagonal(K[:, :2, :2], dim1=1, dim2=2), K[:, :2, 2]
    pixel = points[:, :2] / z.clamp(min=MIN_Z)[:, None] * focal[..., None] + centre[..., None]
    column, row = pixel.clamp(-9, 2**24).round().long().unbind(1)
    found = (z > MIN_Z) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    column, row = column.clamp(0, width - 1), row.clamp(0, height - 1)
    partner, normal = _surface(cloud, column, row)
    found = found & (partner[:, 2] > MIN_Z) & normal.any(1)
    weight = partner[:, 2].masked_fill(~found, torch.inf).reciprocal()
    distance = ((points - partner) * normal).sum(1).abs() * weight
    median = distance.masked_fill(~found, torch.nan).nanmedian(1, keepdim=True).values
    near = found & (distance <= (CUT_OFF * median).clamp(min=near_enough))
    near = near & (near.sum(1, keepdim=True) >= _FEWEST)
    return _Pairs(row * width + column, normal, weight.masked_fill(~near, 0))


def _surface(cloud: Tensor, column: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
    """Points and unit normals, each ``(N, 3, P)``, of a cloud at pixels ``(N, P)``.

    At an edge, where the steps in depth before and after a pixel differ, the normal is zero.
    """
    height, width = cloud.shape[-2:]
    before, after = (column - 1).clamp_(min=0), (column + 1).clamp_(max=width - 1)
    above, below = (row - 1).clamp_(min=0), (row + 1).clamp_(max=height - 1)
    start = row * width
    index = torch.cat([
        start + column, start + before, start + after, above * width + column,
        below * width + column,
    ], 1)  # fmt: skip
    taken = cloud.flatten(2).gather(2, index[:, None].expand(-1, 3, -1))
    here, before, after, above, below = taken.chunk(5, 2)
    z = here[:, 2]
    bends = ((one + other)[:, 2] - 2 * z for one, other in ((before, after), (above, below)))
    is_edge = torch.stack([bend.abs() for bend in bends]).amax(0) > NEAR_ENOUGH * z
    across = _cross(after - before, below - above)
    length = across.square().sum(1, keepdim=True).sqrt()
    is_flat = (length > 0) & ~is_edge[:, None]
    return here, torch.where(is_flat, across / length.masked_fill(~is_flat, 1), 0)


def _alignment(points: Tensor, pairs: _Pairs, cloud: Tensor) -> Tensor:
    """Small motions ``(N, 6)`` of points ``(N, 3, P)`` that bring them nearest to their surfaces.

    Minimises the sum of squares of n . (p + omega x p + t - q), relative, over t and omega.
    """
    lever = _cross(points, pairs.normal)
    slope = torch.cat([pairs.normal, lever], 1) * pairs.weight[:, None]  # (N, 6, P)
    normal = slope @ slope.transpose(1, 2)
    right = slope @ pairs.distances(points, cloud)[..., None]
    size = normal.detach().diagonal(dim1=1, dim2=2).mean(-1)
    damping = torch.where(size > 0, _DAMPING * size, 1)[:, None].expand(-1, 6)
    return -torch.linalg.solve(normal + torch.diag_embed(damping), right)[..., 0]


def _transform(T: Tensor, points: Tensor) -> Tensor:
    """Points ``(N, 3, P)`` moved by ``(N, 4, 4)``."""
    return torch.baddbmm(T[:, :3, 3:], T[:, :3, :3], points)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Cross products of ``(N, 3, P)``; faster than torch's along this dimension."""
    (ax, ay, az), (bx, by, bz) = a.unbind(1), b.unbind(1)
    return torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], 1)


def _check(a: Tensor, b: Tensor, T_b_a: Tensor, K: Tensor, iterations: int) -> None:
    if a.ndim != 4 or a.shape[1] != 3:
        raise ValueError(f"expected points_a (B, 3, H, W), got {tuple(a.shape)}")
    batch = a.shape[0]
    if b.ndim != 5 or b.shape[0] != batch or b.shape[2] != 3:
        raise ValueError(f"expected points_b ({batch}, S, 3, H, W), got {tuple(b.shape)}")
    if T_b_a.shape != (batch, b.shape[1], 4, 4):
        raise ValueError(f"expected T_b_a {(batch, b.shape[1], 4, 4)}, got {tuple(T_b_a.shape)}")
    check_intrinsics(K, batch)
    if iterations < 1:
        raise ValueError(f"expected at least one iteration, got {iterations}")
