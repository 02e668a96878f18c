# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conventions of published pose networks, converted to this package's own.

Networks get images in temporal order and return ``T_earlier_later`` of neighbours as
[tx ty tz rx ry rz], metres and axis-angle. Published ones were trained otherwise:

- ``packnet_sfm`` (PackNet-SfM): the target first, then its context; from a target to each
  context image; [t, Euler angles] with R = Rx Ry Rz. A pair is shown with the later image as the
  target.
- ``monodepth2``: pairs in temporal order; from the earlier image to the later, that is
  ``T_later_earlier``; [axis-angle, t], and as much again that its authors do not read.

All is plain arithmetic with ONNX's standard operators, for it is part of the exported graph.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SMALL_SQUARE = 1e-8  # squared sine below which the series is used (error < 1e-17)


def in_network_order(stack: Tensor, convention: str, images: int) -> Tensor:
    """Images in the order in which the network wants them.

    Args:
        stack: ``(B, 3 images, H, W)`` in temporal order.
        convention: See the module.
        images: 2 or 3.
    """
    if convention != "packnet_sfm":
        return stack
    later = stack[:, 3:6]  # of three images the middle one, which is the target
    order = (later, stack[:, :3], stack[:, 6:]) if images == 3 else (later, stack[:, :3])
    return torch.cat(order, dim=1)


def to_neighbour_motions(raw: Tensor, convention: str, pairs: int) -> Tensor:
    """A network's own output as motions between neighbours.

    Args:
        raw: ``(B, 6 P)``, with ``monodepth2`` ``(B, 12)``.
        convention: See the module.
        pairs: P.

    Returns:
        ``(B, 6 P)``, [tx ty tz rx ry rz] of ``T_earlier_later`` of each pair.
    """
    if convention == "native":
        return raw
    if convention == "monodepth2":  # the second frame's six numbers mean nothing
        vector, w = axis_angle_to_quaternion(raw[:, :3])
        return torch.cat((_inverse_translation(raw[:, 3:6], vector, w), -raw[:, :3]), dim=1)
    first = torch.cat((raw[:, :3], euler_to_axis_angle(raw[:, 3:6])), dim=1)
    if pairs == 1:
        return first  # T_context_target, the context being the earlier image
    vector, w = euler_to_quaternion(raw[:, 9:12])
    second = (_inverse_translation(raw[:, 6:9], vector, w), -quaternion_to_axis_angle(vector, w))
    return torch.cat((first, *second), dim=1)


def euler_to_axis_angle(euler: Tensor) -> Tensor:
    """Axis times angle ``(B, 3)`` of the rotation Rx Ry Rz by ``(B, 3)`` radians."""
    return quaternion_to_axis_angle(*euler_to_quaternion(euler))


def euler_to_quaternion(euler: Tensor) -> tuple[Tensor, Tensor]:
    """Unit quaternion of Rx Ry Rz: vector part ``(B, 3)`` and scalar part ``(B, 1)``."""
    half = euler / 2
    sx, sy, sz = _components(torch.sin(half))
    cx, cy, cz = _components(torch.cos(half))
    vector = (
        sx * cy * cz + cx * sy * sz,
        cx * sy * cz - sx * cy * sz,
        cx * cy * sz + sx * sy * cz,
    )
    return torch.cat(vector, dim=1), cx * cy * cz - sx * sy * sz


def axis_angle_to_quaternion(axis_angle: Tensor) -> tuple[Tensor, Tensor]:
    """Unit quaternion of axis times angle ``(B, 3)``: vector part and scalar part ``(B, 1)``."""
    square = (axis_angle * axis_angle).sum(dim=1, keepdim=True)
    small = square < _SMALL_SQUARE
    angle = torch.sqrt(torch.where(small, torch.ones_like(square), square))
    factor = torch.where(small, 0.5 - square / 48, torch.sin(angle / 2) / angle)
    return axis_angle * factor, torch.where(small, 1 - square / 8, torch.cos(angle / 2))


def quaternion_to_axis_angle(vector: Tensor, w: Tensor) -> Tensor:
    """Axis times angle ``(B, 3)``, at most pi, of a unit quaternion."""
    sign = torch.where(w < 0, -torch.ones_like(w), torch.ones_like(w))  # q and -q are one rotation
    vector, w = vector * sign, w * sign
    square = (vector * vector).sum(dim=1, keepdim=True)
    small = square < _SMALL_SQUARE
    sine = torch.sqrt(torch.where(small, torch.ones_like(square), square))
    # tan(angle / 4) = sin(angle / 2) / (1 + cos(angle / 2)), whose divisor is never small
    return vector * torch.where(small, 2 + square / 3, 4 * torch.atan(sine / (1 + w)) / sine)


def _inverse_translation(translation: Tensor, vector: Tensor, w: Tensor) -> Tensor:
    """``-R^T t`` of the rotation by a unit quaternion."""
    once = _cross(vector, translation)
    return 2 * w * once - 2 * _cross(vector, once) - translation


def _cross(a: Tensor, b: Tensor) -> Tensor:
    (ax, ay, az), (bx, by, bz) = _components(a), _components(b)
    return torch.cat((ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx), dim=1)


def _components(vector: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each ``(B, 1)``; by slices, which torch.fx can follow where it cannot unpack."""
    return vector[:, :1], vector[:, 1:2], vector[:, 2:3]
