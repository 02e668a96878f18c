# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometry terms: measured displacement, translation vector and rotation of the camera.

Images determine depth and translation up to a common factor. The velocity terms set that factor:
**metric scale comes from here**, in training; the rest of docs/scale.md keeps or measures it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sfm_depth_ros.geometry.se3 import matrix_to_axis_angle
from sfm_depth_ros.losses.masked_mean import masked_mean

NO_ROTATION = 1e-5  # radians: wheel odometry without a gyro reports exactly zero rotation


def velocity_loss(translations: Tensor, displacements: Tensor) -> Tensor:
    """Velocity loss: mean displacement error ``| |t| - d |`` (Guizilini et al., CVPR 2020).

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
    """Velocity loss on vectors: mean of ``|t - t_measured|``, direction included.

    The length leaves the direction to the images; the vector ties it to the odometer too, which
    needs a well calibrated camera pose on the base (lever arm and direction are part of
    ``T_measured``).

    Args:
        T_source_target: ``(B, S, 4, 4)`` predicted motions of the camera in metres.
        T_measured: ``(B, S, 4, 4)`` measured ones; NaN in the translation where unknown.

    Returns:
        Scalar in metres over the known motions; zero where none is known.
    """
    _check_motions(T_source_target, T_measured)
    measured = T_measured[..., :3, 3]
    known = measured.isfinite().all(-1)
    difference = T_source_target[..., :3, 3] - measured.nan_to_num(0, 0, 0)
    distance = torch.linalg.vector_norm(difference, dim=-1)
    return masked_mean(distance, known)


def rotation_loss(T_source_target: Tensor, T_measured: Tensor) -> Tensor:
    """Mean of ``|r . a - angle|``: rotation error about the measured axis ``a``.

    In images, near points alone separate a small rotation from a sideways step; the odometer
    resolves it, and a known rotation makes the focal length observable. About the other axes the
    images decide: a wheel odometer measures yaw and reports zero pitch and roll, which a robot on
    a bumpy road has all the same. A measured rotation of exactly zero counts as not measured.

    Args:
        T_source_target: ``(B, S, 4, 4)`` predicted motions of the camera.
        T_measured: ``(B, S, 4, 4)`` measured ones; NaN where unknown.

    Returns:
        Scalar in radians over the measured rotations; zero where there is none.
    """
    _check_motions(T_source_target, T_measured)
    measured = T_measured[..., :3, :3]
    known = measured.isfinite().flatten(-2).all(-1)
    eye = torch.eye(3, dtype=measured.dtype, device=measured.device)
    rotation = matrix_to_axis_angle(torch.where(known[..., None, None], measured, eye))
    angle = torch.linalg.vector_norm(rotation, dim=-1)
    axis = rotation / angle.clamp(min=NO_ROTATION)[..., None]
    predicted = (matrix_to_axis_angle(T_source_target[..., :3, :3]) * axis).sum(-1)
    return masked_mean((predicted - angle).abs(), known & (angle > NO_ROTATION))


def _check_motions(T_source_target: Tensor, T_measured: Tensor) -> None:
    if T_source_target.shape != T_measured.shape or T_measured.shape[-2:] != (4, 4):
        raise ValueError(
            "expected predicted and measured T_source_target (B, S, 4, 4), got "
            f"{tuple(T_source_target.shape)} and {tuple(T_measured.shape)}"
        )
