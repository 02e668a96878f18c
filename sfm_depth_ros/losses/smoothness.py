# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Edge-aware smoothness of inverse depth."""

from __future__ import annotations

import torch
from torch import Tensor


def edge_aware_smoothness(inverse_depth: Tensor, image: Tensor, order: int = 1) -> Tensor:
    """Mean of ``|grad d*| exp(-|grad I|)``, ``d*`` the inverse depth over its mean.

    The normalisation (Wang et al., CVPR 2018) removes the incentive to shrink inverse depth; the
    weight at image edges is that of Godard et al., CVPR 2017.

    First derivatives favour surfaces that face the camera. Second ones (SfMLearner, Zhou et al.,
    CVPR 2017: |d_xx| + |d_xy| + |d_yx| + |d_yy|) are zero on any plane, on which inverse depth is
    linear; each is weighted by the mean image gradient between the pixels it joins.

    Args:
        inverse_depth: ``(B, 1, H, W)`` in 1/m.
        image: ``(B, 3, H, W)`` image in [0, 1] of the same size.
        order: Which derivative, 1 or 2.

    Returns:
        Scalar.
    """
    if inverse_depth.shape[-2:] != image.shape[-2:] or inverse_depth.shape[1] != 1:
        raise ValueError(
            "expected inverse_depth (B, 1, H, W) and an image of its size, got "
            f"{tuple(inverse_depth.shape)} and {tuple(image.shape)}"
        )
    if order not in (1, 2):
        raise ValueError(f"expected order 1 or 2, got {order}")
    mean = inverse_depth.mean((2, 3), keepdim=True).clamp(min=1e-6)
    normalised = inverse_depth / mean
    along_x, along_y = normalised.diff(dim=3), normalised.diff(dim=2)
    with torch.no_grad():
        edge_x, edge_y = (image.diff(dim=dim).abs_().mean(1, keepdim=True) for dim in (3, 2))
    if order == 1:
        return _mean(along_x, edge_x) + _mean(along_y, edge_y)
    around = (_neighbour_mean(edge_x, 2) + _neighbour_mean(edge_y, 3)) / 2
    return (
        _mean(along_x.diff(dim=3), _neighbour_mean(edge_x, 3))
        + _mean(along_y.diff(dim=2), _neighbour_mean(edge_y, 2))
        + 2 * _mean(along_x.diff(dim=2), around)
    )


def _mean(derivative: Tensor, edge: Tensor) -> Tensor:
    """Mean |derivative| exp(-edge); zero where the image is too narrow to have one."""
    if derivative.numel() == 0:
        return derivative.new_zeros(())
    return (derivative.abs() * torch.exp(-edge)).mean()


def _neighbour_mean(edge: Tensor, dim: int) -> Tensor:
    """Mean of each two neighbours along a dimension; shorter by one, empty at the least."""
    length = max(edge.shape[dim] - 1, 0)
    return (edge.narrow(dim, 0, length) + edge.narrow(dim, edge.shape[dim] - length, length)) / 2
