# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Comparison with a teacher whose disparity is known up to a gain and an offset.

A network for relative depth gives ``a / depth + b`` with other a and b for every image. Both
disparities are shifted by their median and divided by their mean absolute deviation, which takes a
and b out (Ranftl et al., "Towards Robust Monocular Depth Estimation", TPAMI 2022); the gradients
of what is left are compared at several scales, so that edges lie where the teacher has them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sfm_depth_ros.losses.masked_mean import masked_mean

GRADIENT_WEIGHT = 0.5  # Ranftl et al.
SCALES = 4  # the disparities, and every second, fourth and eighth pixel of them
_FLATTEST = 1e-6  # smallest deviation that is divided by


def affine_invariant_loss(
    disparity: Tensor, teacher: Tensor, gradient_weight: float = GRADIENT_WEIGHT
) -> Tensor:
    """Mean |d - t| of both disparities without their gain and offset, and of its gradients.

    Args:
        disparity: ``(B, 1, H, W)`` predicted inverse depth, positive and finite.
        teacher: ``(B, 1, H, W)`` inverse depth up to a positive gain and an offset; NaN where
            unknown.
        gradient_weight: Weight of the gradients' part.

    Returns:
        Scalar; zero where the teacher knows nothing, or its image is flat.
    """
    if disparity.shape != teacher.shape or disparity.ndim != 4:
        raise ValueError(
            f"expected a teacher of disparity's shape {tuple(disparity.shape)}, got "
            f"{tuple(teacher.shape)}"
        )
    known = teacher.isfinite()
    teacher = teacher.masked_fill(~known, 0.0)
    theirs, is_shaped = _normalised(teacher, known)
    ours, _ = _normalised(disparity, known)
    known = known & is_shaped
    residual = torch.where(known, ours - theirs, torch.zeros_like(ours))
    data = masked_mean(residual.abs(), known)
    if gradient_weight == 0:
        return data
    return data + gradient_weight * _gradients(residual, known)


def _normalised(values: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Median 0 and mean absolute deviation 1 over the known pixels of each image.

    Returns:
        ``(B, 1, H, W)``, and ``(B, 1, 1, 1)`` bool, whether the image is anything but flat.
    """
    unknown = torch.full_like(values, torch.nan)
    median = torch.where(known, values, unknown).flatten(1).nanmedian(dim=1).values
    median = median.nan_to_num(0.0).view(-1, 1, 1, 1)
    away = values - median
    count = known.flatten(1).sum(1).clamp(min=1).view(-1, 1, 1, 1)
    deviation = (away.abs() * known).flatten(1).sum(1).view(-1, 1, 1, 1) / count
    return away / deviation.clamp(min=_FLATTEST), deviation > _FLATTEST


def _gradients(residual: Tensor, known: Tensor) -> Tensor:
    """Sum over scales of the mean absolute differences of neighbours, in both directions."""
    total = residual.new_zeros(())
    for scale in range(SCALES):
        step = 2**scale
        r, k = residual[..., ::step, ::step], known[..., ::step, ::step]
        for axis in (-2, -1):
            size = r.shape[axis] - 1
            if size < 1:
                continue
            difference = r.narrow(axis, 1, size) - r.narrow(axis, 0, size)
            both = k.narrow(axis, 1, size) & k.narrow(axis, 0, size)
            total = total + masked_mean(difference.abs(), both)
    return total
