# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rotations, poses and twists of rigid frames in numpy float64 (se3.py is for tensors).

``T_a_b`` takes points in frame b to frame a; it is the pose of b in a.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

# REP 103: optical frames have z forward, x right, y down; bodies have x forward, y left, z up.
R_BASE_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
R_BASE_OPTICAL.setflags(write=False)

_IDENTITY = np.eye(3)
_IDENTITY.setflags(write=False)
_SMALL_ANGLE = 1e-4  # below it the Taylor series is exact to 1e-17


def quaternion_to_matrix(quaternion: ArrayLike) -> np.ndarray:
    """Rotation matrix of a quaternion, which is normalised first.

    Args:
        quaternion: ``(4,)`` as x, y, z, w (the order of ``geometry_msgs/Quaternion``).

    Returns:
        ``(3, 3)``.

    Raises:
        ValueError: The quaternion is zero or not finite.
    """
    q = np.asarray(quaternion, dtype=np.float64)
    norm = float(np.linalg.norm(q)) if q.shape == (4,) else float("nan")
    if not (np.isfinite(norm) and norm > 1e-9):
        raise ValueError(f"expected a quaternion x, y, z, w that is not zero, got {quaternion!r}")
    x, y, z, w = q / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def matrix_to_quaternion(rotation: ArrayLike) -> np.ndarray:
    """Unit quaternion of a rotation matrix, accurate at every angle (Shepperd's choice).

    Args:
        rotation: ``(3, 3)``.

    Returns:
        ``(4,)`` as x, y, z, w with w >= 0.
    """
    # Plain numbers: numpy's cost a call exceeds the arithmetic of so small a matrix by far.
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = np.asarray(rotation, dtype=np.float64).tolist()
    trace = xx + yy + zz
    # 4 q q^T, whose row with the largest diagonal gives q without cancellation.
    diagonal = (1 + 2 * xx - trace, 1 + 2 * yy - trace, 1 + 2 * zz - trace, 1 + trace)
    rows = (
        (diagonal[0], xy + yx, xz + zx, zy - yz),
        (xy + yx, diagonal[1], yz + zy, xz - zx),
        (xz + zx, yz + zy, diagonal[2], yx - xy),
        (zy - yz, xz - zx, yx - xy, diagonal[3]),
    )
    row = rows[diagonal.index(max(diagonal))]
    norm = math.hypot(*row)
    return np.array(row) / (-norm if row[3] < 0 else norm)


def pose_to_matrix(pose: Sequence[float]) -> np.ndarray:
    """Transform of a pose x, y, z, qx, qy, qz, qw (metres; unit quaternion), ``(4, 4)``."""
    values = np.asarray(pose, dtype=np.float64)
    if values.shape != (7,):
        raise ValueError(f"expected a pose x, y, z, qx, qy, qz, qw, got shape {values.shape}")
    return _transform(quaternion_to_matrix(values[3:]), values[:3])


def matrix_to_pose(transform: ArrayLike) -> np.ndarray:
    """Pose x, y, z, qx, qy, qz, qw of a ``(4, 4)`` transform, ``(7,)``."""
    matrix = np.asarray(transform, dtype=np.float64)
    return np.concatenate([matrix[:3, 3], matrix_to_quaternion(matrix[:3, :3])])


def invert(transform: ArrayLike) -> np.ndarray:
    """``T_b_a`` of a rigid ``T_a_b``, ``(4, 4)``."""
    matrix = np.asarray(transform, dtype=np.float64)
    rotation = matrix[:3, :3].T
    return _transform(rotation, -rotation @ matrix[:3, 3])


def rotation_matrix(rotation_vector: ArrayLike) -> np.ndarray:
    """Rotation matrix ``(3, 3)`` of an axis times its angle, ``(3,)`` radians (Rodrigues)."""
    # Plain numbers, as in the other direction: I + a [v]x + b [v]x^2.
    x, y, z = np.asarray(rotation_vector, dtype=np.float64).tolist()
    a, b, _ = _exponential_coefficients(math.hypot(x, y, z))
    xx, yy, zz, xy, xz, yz = x * x, y * y, z * z, b * x * y, b * x * z, b * y * z
    return np.array(
        (
            (1.0 - b * (yy + zz), xy - a * z, xz + a * y),
            (xy + a * z, 1.0 - b * (xx + zz), yz - a * x),
            (xz - a * y, yz + a * x, 1.0 - b * (xx + yy)),
        )
    )


def rotation_vector(rotation: ArrayLike) -> np.ndarray:
    """Axis times angle, ``(3,)`` radians in [0, pi], of a ``(3, 3)`` rotation matrix."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = np.asarray(rotation, np.float64).tolist()
    cosine = 0.5 * (xx + yy + zz - 1.0)
    if cosine > 0:  # below a quarter turn the sine is as accurate, and less work
        x, y, z = 0.5 * (zy - yz), 0.5 * (xz - zx), 0.5 * (yx - xy)
        sine = math.hypot(x, y, z)
        factor = math.atan2(sine, cosine) / sine if sine > 1e-12 else 1.0
        return np.array((factor * x, factor * y, factor * z))
    quaternion = matrix_to_quaternion(rotation)
    sine = math.hypot(*quaternion[:3].tolist())
    if sine < 1e-12:
        return 2.0 * quaternion[:3]
    return quaternion[:3] * (2.0 * math.atan2(sine, quaternion[3]) / sine)


def twist_to_transform(linear: ArrayLike, angular: ArrayLike, seconds: float) -> np.ndarray:
    """Motion of a body under a constant twist: the exact SE(3) exponential.

    Args:
        linear: ``(3,)`` m/s in the body's own frame.
        angular: ``(3,)`` rad/s in the body's own frame.
        seconds: Duration; negative looks back.

    Returns:
        ``T_start_end`` ``(4, 4)``: pose of the body at the end in the body at the start.
    """
    x, y, z = (np.asarray(angular, dtype=np.float64) * seconds).tolist()
    u, v, w = (np.asarray(linear, dtype=np.float64) * seconds).tolist()
    a, b, c = _exponential_coefficients(math.hypot(x, y, z))
    # translation = (I + b [omega]x + c [omega]x^2) linear, with [omega]x^2 v = omega x (omega x v)
    p, q, r = y * w - z * v, z * u - x * w, x * v - y * u
    return np.array(
        (
            (1.0 - b * (y * y + z * z), b * x * y - a * z, b * x * z + a * y,
             u + b * p + c * (y * r - z * q)),
            (b * x * y + a * z, 1.0 - b * (x * x + z * z), b * y * z - a * x,
             v + b * q + c * (z * p - x * r)),
            (b * x * z - a * y, b * y * z + a * x, 1.0 - b * (x * x + y * y),
             w + b * r + c * (x * q - y * p)),
            (0.0, 0.0, 0.0, 1.0),
        )
    )  # fmt: skip


def transform_logarithm(transform: np.ndarray) -> np.ndarray:
    """Twist ``(6,)`` (translation, rotation) whose exponential over one second is a ``(4, 4)``."""
    omega = rotation_vector(transform[:3, :3])
    angle = float(np.linalg.norm(omega))
    if angle < 1e-4:
        factor = 1.0 / 12.0
    else:
        half = 0.5 * angle
        factor = (1.0 - half / np.tan(half)) / angle**2
    cross = _cross_matrix(omega)
    linear = (np.eye(3) - 0.5 * cross + factor * cross @ cross) @ transform[:3, 3]
    return np.concatenate([linear, omega])


def adjoint_matrix(transform: np.ndarray) -> np.ndarray:
    """``(6, 6)`` matrix that carries twists (translation, rotation) from b to a by ``T_a_b``."""
    rotation = transform[:3, :3]
    adjoint = np.zeros((6, 6))
    adjoint[:3, :3] = adjoint[3:, 3:] = rotation
    adjoint[:3, 3:] = _cross_matrix(transform[:3, 3]) @ rotation
    return adjoint


def _exponential_coefficients(angle: float) -> tuple[float, float, float]:
    """Return sin x / x, (1 - cos x) / x^2 and (x - sin x) / x^3."""
    square = angle * angle
    if angle < _SMALL_ANGLE:
        return 1.0 - square / 6.0, 0.5 - square / 24.0, 1.0 / 6.0 - square / 120.0
    half = math.sin(angle / 2.0) / angle
    sine = math.sin(angle)
    return sine / angle, 2.0 * half * half, (angle - sine) / (square * angle)


def _cross_matrix(vector: np.ndarray) -> np.ndarray:
    x, y, z = vector.tolist()
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def _transform(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    matrix = np.zeros((4, 4))
    matrix[:3, :3] = rotation
    matrix[:3, 3] = translation
    matrix[3, 3] = 1.0
    return matrix
