# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth varies smoothly where the image does."""

from __future__ import annotations

import torch
from torch import Tensor


def edge_aware_smoothness(inverse_depth: Tensor, image: Tensor) -> Tensor:
    """Mean absolute gradient of mean-normalised inverse depth, less at image edges.

    The normalisation (Wang et al., CVPR 2018) takes away the incentive to shrink inverse depth;
    the weight exp(-|gradient of the image|) is that of Godard et al., CVPR 2017.

    Args:
        inverse_depth: ``(B, 1, H, W)`` in 1/m.
        image: ``(B, 3, H, W)`` image in [0, 1] of the same size.

    Returns:
        Scalar.
    """
    if inverse_depth.shape[-2:] != image.shape[-2:] or inverse_depth.shape[1] != 1:
        raise ValueError(
            "expected inverse_depth (B, 1, H, W) and an image of its size, got "
            f"{tuple(inverse_depth.shape)} and {tuple(image.shape)}"
        )
    mean = inverse_depth.mean((2, 3), keepdim=True).clamp(min=1e-6)
    normalised = inverse_depth / mean
    along_x, along_y = (_weighted_gradient(normalised, image, dim) for dim in (3, 2))
    return along_x + along_y


def _weighted_gradient(normalised: Tensor, image: Tensor, dim: int) -> Tensor:
    if image.shape[dim] < 2:
        return normalised.new_zeros(())
    with torch.no_grad():
        weight = image.diff(dim=dim).abs_().mean(1, keepdim=True).neg_().exp_()
    return (normalised.diff(dim=dim).abs() * weight).mean()
