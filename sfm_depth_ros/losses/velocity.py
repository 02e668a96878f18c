# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where metric scale comes from: how far the camera went, as predicted and as measured."""

from __future__ import annotations

import torch
from torch import Tensor

from sfm_depth_ros.losses.masked_mean import masked_mean


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
    return masked_mean(difference, known)


def velocity_vector_loss(T_source_target: Tensor, T_measured: Tensor) -> Tensor:
    """Mean distance between predicted and measured translations: their direction counts as well.

    The length leaves the direction to the images; the vector ties it to the odometer as well,
    which asks for a well calibrated camera pose on the base (lever arm and direction are part of
    ``T_measured``).

    Args:
        T_source_target: ``(B, S, 4, 4)`` predicted motions of the camera in metres.
        T_measured: ``(B, S, 4, 4)`` measured ones; NaN in the translation where unknown.

    Returns:
        Scalar in metres over the known motions; zero where none is known.
    """
    if T_source_target.shape != T_measured.shape or T_measured.shape[-2:] != (4, 4):
        raise ValueError(
            "expected predicted and measured T_source_target (B, S, 4, 4), got "
            f"{tuple(T_source_target.shape)} and {tuple(T_measured.shape)}"
        )
    measured = T_measured[..., :3, 3]
    known = measured.isfinite().all(-1)
    difference = T_source_target[..., :3, 3] - measured.nan_to_num(0, 0, 0)
    distance = torch.linalg.vector_norm(difference, dim=-1)
    return masked_mean(distance, known)
