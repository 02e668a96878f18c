# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Supervised terms: depth and motion against exact (rendered) or measured (lidar) truth."""

from __future__ import annotations

import torch
from torch import Tensor

from sfm_depth_ros.geometry.se3 import matrix_to_axis_angle
from sfm_depth_ros.losses.masked_mean import masked_mean

# One radian weighs as ten times the translation: between two images of a drive, rotations are
# hundredths of a radian, so that both parts are of the same order.
ROTATION_WEIGHT = 10.0
SHORTEST_TRANSLATION = 0.1  # metres; translations below it are not measured relative to themselves


def depth_supervision(depth: Tensor, truth: Tensor, max_depth: float = 100.0) -> Tensor:
    """Mean |log depth - log truth| over the pixels whose truth is known.

    The logarithm weighs near and far alike. What is farther than ``max_depth`` (sky) must only be
    predicted as at least that far.

    Args:
        depth: ``(B, 1, H, W)`` predicted metres.
        truth: ``(B, 1, H, W)`` metres; unknown where it is zero, negative, NaN or infinite.
        max_depth: Cap in metres.

    Returns:
        Scalar; zero where no truth is known.
    """
    if depth.shape != truth.shape:
        raise ValueError(
            f"expected truth of depth's shape {tuple(depth.shape)}, got {tuple(truth.shape)}"
        )
    known = truth.isfinite() & (truth > 0)
    capped = truth.masked_fill(~known, 1.0).clamp(max=max_depth)
    difference = depth.log() - capped.log()
    difference = torch.where(capped < max_depth, difference, difference.clamp(max=0))
    return masked_mean(difference.abs(), known)


def sparse_depth_loss(depth: Tensor, sparse: Tensor, max_depth: float = 100.0) -> Tensor:
    """Mean |log depth - log measured depth| over the pixels that were measured.

    For measured points: lidar, a stereo matcher, multi-view stereo. Each image counts alike,
    however many points it has, so that dense labels do not outweigh sparse ones. The absolute
    logarithm weighs near and far alike and forgives outliers.

    Args:
        depth: ``(B, 1, H, W)`` predicted metres.
        sparse: ``(B, 1, H, W)`` metres; unknown where it is zero, negative, not finite or farther
            than ``max_depth``.
        max_depth: What is farther was not measured well enough.

    Returns:
        Scalar, mean over the images with points; zero where there are none.
    """
    if depth.shape != sparse.shape or depth.ndim != 4:
        raise ValueError(
            f"expected sparse depth of depth's shape {tuple(depth.shape)}, got "
            f"{tuple(sparse.shape)}"
        )
    known = (sparse > 0) & (sparse <= max_depth)
    ratio = torch.where(known, depth / sparse.masked_fill(~known, 1), 1)
    points = known.flatten(1).sum(1)
    of_images = ratio.log().abs().flatten(1).sum(1) / points.clamp(min=1)
    return masked_mean(of_images, points > 0)


def motion_supervision(T_predicted: Tensor, T_true: Tensor) -> Tensor:
    """Mean of ``|t - t*| / |t*| + w angle(R, R*)``, relative translation and rotation error.

    Args:
        T_predicted: ``(..., 4, 4)``.
        T_true: ``(..., 4, 4)``; NaN where unknown.

    Returns:
        Scalar mean over the known motions; zero where none is known.
    """
    if T_predicted.shape != T_true.shape or T_true.shape[-2:] != (4, 4):
        raise ValueError(
            f"expected two sets of (..., 4, 4), got {tuple(T_predicted.shape)} and "
            f"{tuple(T_true.shape)}"
        )
    known = T_true.flatten(-2).isfinite().all(-1)
    eye = torch.eye(4, dtype=T_true.dtype, device=T_true.device)
    T_true = torch.where(known[..., None, None], T_true, eye)
    length = torch.linalg.vector_norm(T_true[..., :3, 3], dim=-1).clamp(min=SHORTEST_TRANSLATION)
    error = torch.linalg.vector_norm(T_predicted[..., :3, 3] - T_true[..., :3, 3], dim=-1)
    between = T_predicted[..., :3, :3].transpose(-1, -2) @ T_true[..., :3, :3]
    angle = torch.linalg.vector_norm(matrix_to_axis_angle(between), dim=-1)
    return masked_mean(error / length + ROTATION_WEIGHT * angle, known)
