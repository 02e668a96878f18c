# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth against measured depth up to its scale: log difference and gradient matching.

Eigen et al., NeurIPS 2014 (the scale-invariant error); Li and Snavely, CVPR 2018 (MegaDepth:
gradients at several scales); Li et al., CVPR 2019, who learn moving people from still ones with
both. Measured depth is unknown where it is zero, negative, not finite or too far.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sfm_depth_ros.losses.masked_mean import masked_mean

FARTHEST = 100.0  # metres: what is farther was not measured well enough
STRIDES = (1, 2, 4, 8)  # pixels between those whose differences are compared


def scale_invariant_loss(depth: Tensor, measured: Tensor) -> Tensor:
    """Variance of ``R = log depth - log measured`` over the known pixels, mean over images.

    It is half the mean of ``(R_i - R_j)^2`` over all pairs of pixels: one factor costs nothing.

    Args:
        depth: ``(B, 1, H, W)`` predicted metres.
        measured: ``(B, 1, H, W)`` metres.

    Returns:
        Scalar; images with fewer than two known pixels do not count.
    """
    ratio, known = log_ratio(depth, measured)
    count = known.flatten(1).sum(1)
    mean = ratio.flatten(1).sum(1) / count.clamp(min=1)
    apart = (ratio - mean[:, None, None, None]) * known
    variance = apart.square().flatten(1).sum(1) / count.clamp(min=1)
    return masked_mean(variance, count > 1)


def gradient_matching_loss(depth: Tensor, measured: Tensor) -> Tensor:
    """Mean ``|R_x| + |R_y|`` over pixels 1, 2, 4 and 8 apart, mean over these distances.

    Both pixels must be known: edges of things are where the measured ones are.

    Args:
        depth: ``(B, 1, H, W)`` predicted metres.
        measured: ``(B, 1, H, W)`` metres.

    Returns:
        Scalar; zero where no two known pixels are so far apart.
    """
    ratio, known = log_ratio(depth, measured)
    parts = []
    for stride in STRIDES:
        for dim in (-1, -2):
            if ratio.shape[dim] <= stride:
                continue
            near, far = _shifted(ratio, stride, dim)
            both = torch.stack(_shifted(known, stride, dim)).all(0)
            parts.append(masked_mean((far - near).abs(), both) / len(STRIDES))
    return torch.stack(parts).sum()


def log_ratio(depth: Tensor, measured: Tensor) -> tuple[Tensor, Tensor]:
    """``log depth - log measured``, zero where unknown, and where it is known."""
    if depth.shape != measured.shape or depth.ndim != 4:
        raise ValueError(
            f"expected measured depth of depth's shape {tuple(depth.shape)}, got "
            f"{tuple(measured.shape)}"
        )
    known = (measured > 0) & (measured <= FARTHEST)
    return torch.where(known, depth / measured.masked_fill(~known, 1), 1).log(), known


def _shifted(values: Tensor, stride: int, dim: int) -> tuple[Tensor, Tensor]:
    length = values.shape[dim] - stride
    return values.narrow(dim, 0, length), values.narrow(dim, stride, length)
