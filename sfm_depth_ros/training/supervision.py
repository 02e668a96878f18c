# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What true depth and motion say of a prediction, for the snippets of rendered worlds."""

from __future__ import annotations

import torch
from torch import Tensor

from sfm_depth_ros.losses.supervised import depth_supervision, motion_supervision
from sfm_depth_ros.snippets.batch import SnippetBatch

FAR = 100.0  # metres: what is beyond range (+Inf, REP 117) is taught as this far away


def supervise(
    batch: SnippetBatch, depths: list[Tensor], T: Tensor, scales: tuple[Tensor, Tensor] | None
) -> dict[str, Tensor]:
    """Supervised loss terms by name; what the batch does not know is left out.

    Args:
        batch: Snippets, some or all with true depth and motion.
        depths: Predicted metres of the targets, finest first.
        T: ``(B, S, 4, 4)`` predicted ``T_source_target``.
        scales: How many times larger than the truth depths and translations are meant to be.
    """
    if scales is not None:
        depths = [depth / scales[0] for depth in depths]
        T = _with_translation_divided(T, scales[1])
    parts = {}
    if batch.depth is not None:
        parts["depth_supervision"] = _supervise_depths(depths, batch.depth)
    if batch.T_source_target is not None:
        parts["motion_supervision"] = motion_supervision(T, batch.T_source_target)
    return parts


def _with_translation_divided(T: Tensor, divisor: Tensor) -> Tensor:
    is_translation = torch.zeros_like(T[0, 0])
    is_translation[:3, 3] = 1
    return T * (1 + is_translation * (1 / divisor - 1))


def _supervise_depths(depths: list[Tensor], truth: Tensor) -> Tensor:
    """Mean over scales; a coarse scale is compared at its own pixels' centres, unblended."""
    truth = truth.clamp(max=FAR)
    losses = []
    for depth in depths:
        step = truth.shape[-1] // depth.shape[-1]
        start = step // 2
        losses.append(depth_supervision(depth, truth[..., start::step, start::step]))
    return torch.stack(losses).mean()
