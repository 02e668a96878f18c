# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The odometer's measurements as terms of the joint refinement."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.geometry.frames import rotation_matrix
from sfm_depth_ros.visual_odometry.bundle import PairTerm
from sfm_depth_ros.visual_odometry.odometer_input import MeasuredMotion
from sfm_depth_ros.visual_odometry.odometer_trust import RotationTrust
from sfm_depth_ros.visual_odometry.odometry_step import MotionPrior

_LENGTH_FLOOR = 0.001  # metres
_DIRECTION_FLOOR = 1e-4  # metres
_SHORT = 0.004  # metres: below, a motion has no direction worth measuring


def length_term(index: int, measured: MeasuredMotion, noise: float) -> PairTerm:
    """The length alone, of the motion that ends at frame ``index``."""
    if measured.length < _SHORT:
        # a length near zero has no derivative: the translation itself is near zero
        sigma = 0.5 * measured.length + 2 * _LENGTH_FLOOR
        sigma = np.hypot(sigma, np.sqrt(measured.extrapolation_variance))
        root = np.zeros((6, 6))
        np.fill_diagonal(root[:3, :3], 1.0 / sigma)
        return PairTerm(index - 1, index, np.eye(4), root=root)
    variance = (noise * measured.length + _LENGTH_FLOOR) ** 2 + measured.extrapolation_variance
    return PairTerm(index - 1, index, measured.T_earlier_later, length_information=1.0 / variance)


def full_term(
    index: int,
    measured: MeasuredMotion,
    trust: RotationTrust,
    surprise: np.ndarray | None,
) -> PairTerm:
    """Rotation, and the direction of the translation, each by what it has been worth lately."""
    T = without_bias(measured.T_earlier_later, trust.bias * measured.seconds)
    root = np.zeros((6, 6))
    rotation_variance = trust.rotation_variance + measured.extrapolation_variance
    if surprise is not None:
        rotation_variance = rotation_variance + surprise
    root[3:, 3:] = np.diag(1.0 / np.sqrt(rotation_variance))
    length = measured.length
    if length > _SHORT:
        along = T[:3, :3].T @ T[:3, 3] / length
        shares = np.append(trust.direction_variance, trust.direction_variance.max())
        sideways = length * np.sqrt(shares) + _DIRECTION_FLOOR
        root[:3, :3] = (np.eye(3) - np.outer(along, along)) / sideways[:, None]
    return PairTerm(index - 1, index, T, root=root)


def network_term(index: int, prior: MotionPrior) -> PairTerm:
    """The pose network's motion."""
    information = np.linalg.inv(prior.covariance + 1e-12 * np.eye(6))
    root = np.linalg.cholesky(0.5 * (information + information.T)).T
    return PairTerm(index - 1, index, prior.T_earlier_later, root=root)


def without_bias(T_earlier_later: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """The motion without a rotation ``(3,)`` (rad, later camera) that was measured too much."""
    T = T_earlier_later.copy()
    T[:3, :3] = T[:3, :3] @ rotation_matrix(-turn)
    return T
