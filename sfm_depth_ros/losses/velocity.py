# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where metric scale comes from: how far the camera went, as predicted and as measured."""

from __future__ import annotations

import torch
from torch import Tensor


def velocity_loss(translations: Tensor, displacements: Tensor) -> Tensor:
    """Mean difference between predicted and measured lengths (PackNet-SfM, Guizilini et al. 2020).

    Args:
        translations: ``(B, S, 3)`` predicted camera translations in metres.
        displacements: ``(B, S)`` measured lengths in metres; NaN where unknown.

    Returns:
        Scalar in metres over the known displacements; zero where none is known.
    """
    if translations.shape != (*displacements.shape, 3):
        raise ValueError(
            f"expected translations {(*tuple(displacements.shape), 3)}, "
            f"got {tuple(translations.shape)}"
        )
    known = displacements.isfinite()
    lengths = torch.linalg.vector_norm(translations, dim=-1)
    difference = (lengths - displacements.masked_fill(~known, 0)).abs()
    return (difference * known).sum() / known.sum().clamp(min=1)
