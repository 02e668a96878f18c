# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Point clouds of two images must lie on one another once the camera's motion is taken out.

After vid2depth (Mahjourian et al., CVPR 2018), which pairs every point with the nearest of the
other cloud by a search. Here the clouds are images, so that a point's partner is what the other
camera shows at its pixel (projective association), and what counts is its distance from the
surface there, not from the sample (point to plane, Chen and Medioni 1992): two images never sample
the same points, and the distance between samples is no error.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

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
    """Which surface of b each of P points of a lies on; nothing of it is learnt through."""

    index: Tensor  # (N, P) pixel of b
    normal: Tensor  # (N, 3, P) of the surface there
    weight: Tensor  # (N, P): 1 / distance from the camera, 0 = no pair

    def distances(self, points: Tensor, cloud: Tensor) -> Tensor:
        """How far points lie before or behind their surfaces, relative to the camera's distance.

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
    """How much the motion must still be corrected, and how unlike the clouds remain then.

    The points of a, moved by ``T_b_a``, are aligned with the surfaces of b by ``iterations``
    linearised alignments (Gauss-Newton), each with pairs of its own. The correction, penalised
    against the identity, teaches the motion alone; the distances that it leaves teach the depths
    alone, as published. Pairing is not learnt through.

    Distances count relative to those from the camera, for the error of a predicted depth grows
    with it. (The published residual is in depth's own unit.)

    Args:
        points_a: ``(B, 3, H, W)`` metres, the target's points in its camera; every fourth row and
            column will do, and costs a sixteenth.
        points_b: ``(B, S, 3, H', W')`` metres, the sources' points in their cameras.
        T_b_a: ``(B, S, 4, 4)``, ``T_source_target``.
        K: ``(B, 3, 3)`` intrinsics in pixels of ``points_b``.
        iterations: How often pairs are formed and aligned.

    Returns:
        Transform residual, mean over motions of |translation|_1 + |axis-angle|_1 (metres and
        radians), and point residual, mean over pairs of the distance relative to that from the
        camera. Zero where too few points can be paired.
    """
    _check(points_a, points_b, T_b_a, K, iterations)
    count = T_b_a.shape[1]
    a = points_a.nan_to_num(0, 0, 0)[:, None].expand(-1, count, -1, -1, -1).flatten(0, 1)
    b, T = points_b.nan_to_num(0, 0, 0).flatten(0, 1), T_b_a.flatten(0, 1)
    a, surface, b = a.flatten(2), _surface(b.detach()), b.flatten(2)
    K = K.detach().repeat_interleave(count, 0)
    moved = _transform(T, a.detach())
    correction = torch.eye(4, dtype=T.dtype, device=T.device).expand(len(T), 4, 4)
    for number in range(iterations):
        # Only the last alignment is learnt through.
        correction = correction.detach()
        placed = _transform(correction, moved)
        near_enough = NEAR_ENOUGH if number == 0 else NEAR_ONCE_ALIGNED
        pairs = _pair(placed.detach(), surface, K, near_enough)
        step = _alignment(placed, pairs, b.detach())
        correction = compose(motion_to_transform(step), correction)
    turn = matrix_to_axis_angle(correction[:, :3, :3])
    transform_residual = (correction[:, :3, 3].abs() + turn.abs()).sum(1).mean()
    left = pairs.distances(_transform((correction @ T).detach(), a), b).abs()
    point_residual = left.sum() / counted((pairs.weight > 0).sum())
    return transform_residual, point_residual


@torch.no_grad()
def _surface(cloud: Tensor) -> Tensor:
    """Points and unit normals ``(N, 6, H, W)`` of a cloud; a zero normal where nothing is known.

    Nor is it at an edge, where the steps in depth before and after a pixel differ.
    """
    z = cloud[:, 2:]
    wide = functional.pad(cloud, (1, 1, 1, 1), mode="replicate")
    left, right = wide[..., 1:-1, :-2], wide[..., 1:-1, 2:]
    above, below = wide[..., :-2, 1:-1], wide[..., 2:, 1:-1]
    bend = torch.cat([(left + right)[:, 2:], (above + below)[:, 2:]], 1) - 2 * z
    unknown = (z <= MIN_Z) | (bend.abs().amax(1, keepdim=True) > NEAR_ENOUGH * z)
    across = torch.linalg.cross(right - left, below - above, dim=1)
    normal = functional.normalize(across, dim=1, eps=1e-20)
    return torch.cat([cloud, normal.masked_fill(unknown, 0)], 1)


@torch.no_grad()
def _pair(points: Tensor, surface: Tensor, K: Tensor, near_enough: float) -> _Pairs:
    """Pair points ``(N, 3, P)`` with the surfaces ``(N, 6, H, W)`` at their pixels of b."""
    height, width = surface.shape[-2:]
    z = points[:, 2]
    focal, centre = torch.diagonal(K[:, :2, :2], dim1=1, dim2=2), K[:, :2, 2]
    pixel = points[:, :2] / z.clamp(min=MIN_Z)[:, None] * focal[..., None] + centre[..., None]
    column, row = pixel.clamp(-9, 2**24).round().long().unbind(1)
    found = (z > MIN_Z) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    index = (row * width + column).masked_fill(~found, 0)
    partner, normal = surface.flatten(2).gather(2, index[:, None].expand(-1, 6, -1)).split(3, 1)
    found = found & normal.any(1)
    weight = partner[:, 2].masked_fill(~found, torch.inf).reciprocal()
    distance = ((points - partner) * normal).sum(1).abs() * weight
    median = distance.masked_fill(~found, torch.nan).nanmedian(1, keepdim=True).values
    near = found & (distance <= (CUT_OFF * median).clamp(min=near_enough))
    near = near & (near.sum(1, keepdim=True) >= _FEWEST)
    return _Pairs(index, normal, weight.masked_fill(~near, 0))


def _alignment(points: Tensor, pairs: _Pairs, cloud: Tensor) -> Tensor:
    """Small motions ``(N, 6)`` of points ``(N, 3, P)`` that bring them nearest to their surfaces.

    Minimises the sum of squares of n . (p + omega x p + t - q), relative, over t and omega.
    """
    lever = torch.linalg.cross(points, pairs.normal, dim=1)
    slope = torch.cat([pairs.normal, lever], 1) * pairs.weight[:, None]  # (N, 6, P)
    normal = slope @ slope.transpose(1, 2)
    right = slope @ pairs.distances(points, cloud)[..., None]
    size = normal.detach().diagonal(dim1=1, dim2=2).mean(-1)
    damping = torch.where(size > 0, _DAMPING * size, 1)[:, None].expand(-1, 6)
    return -torch.linalg.solve(normal + torch.diag_embed(damping), right)[..., 0]


def _transform(T: Tensor, points: Tensor) -> Tensor:
    """Points ``(N, 3, P)`` moved by ``(N, 4, 4)``."""
    return torch.baddbmm(T[:, :3, 3:], T[:, :3, :3], points)


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
