# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks that say which pixels a moving camera in a still world explains (SfMLearner)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_SMALLEST = 1e-7  # keeps the logarithm finite where a sigmoid has underflown


def explainability_regulariser(masks: Sequence[Tensor]) -> Tensor:
    """Cross entropy with a mask of ones: explaining nothing must cost something.

    -log(mask), as Zhou et al. (CVPR 2017) have it with a constant label 1 at every pixel; mean
    over pixels and sources, then over scales.

    Args:
        masks: Each ``(B, S, h, w)`` in (0, 1), finest first.

    Returns:
        Scalar; zero where every mask is one.
    """
    if not masks or any(mask.ndim != 4 for mask in masks):
        shapes = [tuple(mask.shape) for mask in masks]
        raise ValueError(f"expected explainability masks (B, S, h, w), got {shapes}")
    return torch.stack([-mask.clamp(min=_SMALLEST).log().mean() for mask in masks]).mean()
