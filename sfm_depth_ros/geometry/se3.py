# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rigid motions on tensors; ``T_a_b`` takes points in frame b to frame a."""

from __future__ import annotations

import torch
from torch import Tensor

_SMALL_SQUARE = 1e-4  # squared angle below which the Taylor series is used (error < 1e-17)


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rotation matrices by Rodrigues' formula, with exact derivatives at zero too.

    Args:
        axis_angle: ``(..., 3)`` axis times angle in radians.

    Returns:
        ``(..., 3, 3)``.
    """
    _check_last(axis_angle, 3, "axis_angle")
    square = (axis_angle * axis_angle).sum(-1)
    a, b = _rodrigues_coefficients(square)
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    cross = _matrix(zero, -z, y, z, zero, -x, -y, x, zero)
    outer = axis_angle[..., :, None] * axis_angle[..., None, :]
    eye = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    # cross @ cross = outer - square * I
    diagonal = (1 - b * square)[..., None, None] * eye
    return diagonal + a[..., None, None] * cross + b[..., None, None] * outer


def matrix_to_axis_angle(rotation: Tensor) -> Tensor:
    """Axis times angle ``(..., 3)``, radians in [0, pi], of rotation matrices ``(..., 3, 3)``."""
    quaternion = _matrix_to_quaternion(rotation)
    vector, w = quaternion[..., :3], quaternion[..., 3:]
    square = (vector * vector).sum(-1, keepdim=True)
    small = square < 1e-12
    sine = torch.where(small, torch.ones_like(square), square).sqrt()
    factor = torch.where(small, 2 - square / 3, 2 * torch.atan2(sine, w) / sine)
    return vector * factor


def motion_to_transform(motion: Tensor) -> Tensor:
    """Transforms of motions in the order of pose networks.

    Args:
        motion: ``(..., 6)`` as tx, ty, tz (metres), rx, ry, rz (axis times angle, radians).

    Returns:
        ``(..., 4, 4)``.
    """
    _check_last(motion, 6, "motion")
    return compose_transform(axis_angle_to_matrix(motion[..., 3:]), motion[..., :3])


def compose_transform(rotation: Tensor, translation: Tensor) -> Tensor:
    """``(..., 4, 4)`` of a rotation ``(..., 3, 3)`` and a translation ``(..., 3)``."""
    top = torch.cat([rotation, translation[..., None]], dim=-1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., 0, 3] = 1
    return torch.cat([top, bottom], dim=-2)


def invert_transform(T_a_b: Tensor) -> Tensor:
    """``T_b_a`` of rigid ``T_a_b`` ``(..., 4, 4)``."""
    rotation = T_a_b[..., :3, :3].transpose(-1, -2)
    translation = -(rotation @ T_a_b[..., :3, 3:])[..., 0]
    return compose_transform(rotation, translation)


def compose(T_a_b: Tensor, T_b_c: Tensor) -> Tensor:
    """``T_a_c`` of ``T_a_b`` and ``T_b_c``, each ``(..., 4, 4)``."""
    return T_a_b @ T_b_c


def _rodrigues_coefficients(square: Tensor) -> tuple[Tensor, Tensor]:
    """Return sin x / x and (1 - cos x) / x^2 of x^2."""
    small = square < _SMALL_SQUARE
    angle = torch.where(small, torch.ones_like(square), square).sqrt()
    half = torch.sin(angle / 2) / angle
    a = torch.where(
        small, 1 - square / 6 * (1 - square / 20 * (1 - square / 42)), torch.sin(angle) / angle
    )
    b = torch.where(
        small, 0.5 - square / 24 * (1 - square / 30 * (1 - square / 56)), 2 * half * half
    )
    return a, b


def _matrix_to_quaternion(rotation: Tensor) -> Tensor:
    """Unit quaternions ``(..., 4)`` x, y, z, w with w >= 0 (Shepperd's choice of the pivot)."""
    if rotation.shape[-2:] != (3, 3):
        raise ValueError(f"expected rotation (..., 3, 3), got {tuple(rotation.shape)}")
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation.flatten(-2).unbind(-1)
    x, y, z = r21 - r12, r02 - r20, r10 - r01
    xy, xz, yz = r01 + r10, r02 + r20, r12 + r21
    outer = torch.stack([
        torch.stack([1 + r00 - r11 - r22, xy, xz, x], -1),
        torch.stack([xy, 1 - r00 + r11 - r22, yz, y], -1),
        torch.stack([xz, yz, 1 - r00 - r11 + r22, z], -1),
        torch.stack([x, y, z, 1 + r00 + r11 + r22], -1),
    ], -2)  # fmt: skip  # 4 q q^T
    pivot = torch.diagonal(outer, dim1=-2, dim2=-1).argmax(-1)[..., None, None]
    row = torch.gather(outer, -2, pivot.expand(*pivot.shape[:-1], 4))[..., 0, :]
    row = row / row.norm(dim=-1, keepdim=True)
    return torch.where(row[..., 3:] < 0, -row, row)


def _matrix(*entries: Tensor) -> Tensor:
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))


def _check_last(tensor: Tensor, size: int, name: str) -> None:
    if tensor.ndim == 0 or tensor.shape[-1] != size:
        raise ValueError(f"expected {name} (..., {size}), got {tuple(tensor.shape)}")
