# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Supervision of shape and of metres, apart: depth in log metres against the truth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FAR = 100.0  # metres: beyond, a prediction must only be as far as this


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms."""

    metres: float = 0.5  # |log depth - log truth|
    shape: float = 0.5  # The same after each image's own mean difference is taken off
    edges: float = 0.5  # Gradients of the difference at three scales (Li and Snavely, CVPR 2018)


def shape_loss(depth: Tensor, truth: Tensor, weights: LossWeights = LossWeights()) -> Tensor:
    """Weighted sum of the terms, a scalar.

    Args:
        depth: ``(B, 1, H, W)`` predicted metres.
        truth: ``(B, 1, H, W)`` true metres, large in the sky.
        weights: Of the terms.
    """
    is_far = truth >= FAR
    difference = depth.log() - truth.clamp(max=FAR).log()
    difference = torch.where(is_far, difference.clamp(max=0), difference)
    near = (~is_far).to(difference)
    offset = (difference * near).sum((2, 3), keepdim=True) / near.sum((2, 3), keepdim=True).clamp(
        min=1
    )
    loss = weights.metres * difference.abs().mean()
    loss = loss + weights.shape * ((difference - offset).abs() * near).sum() / near.sum().clamp(
        min=1
    )
    return loss + weights.edges * _edges(difference)


def _edges(difference: Tensor) -> Tensor:
    total = difference.new_zeros(())
    for step in (1, 2, 4):
        across = difference[..., step:] - difference[..., :-step]
        down = difference[..., step:, :] - difference[..., :-step, :]
        total = total + across.abs().mean() + down.abs().mean()
    return total / 3
