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

_IDENTITY = np.eye(3)
_LENGTH_FLOOR = 0.001  # metres
_DIRECTION_FLOOR = 1e-4  # metres
SHORT = 0.004  # metres: below, a motion has no direction worth measuring


def length_information(measured: MeasuredMotion, noise: float) -> float:
    """Information of the length of a motion that is not short, 1/m^2."""
    variance = (noise * measured.length + _LENGTH_FLOOR) ** 2 + measured.extrapolation_variance
    return 1.0 / variance


def length_term(index: int, measured: MeasuredMotion, noise: float) -> PairTerm:
    """The length alone, of the motion that ends at frame ``index``."""
    if measured.length < SHORT:
        # a length near zero has no derivative: the translation itself is near zero
        sigma = 0.5 * measured.length + 2 * _LENGTH_FLOOR
        sigma = np.hypot(sigma, np.sqrt(measured.extrapolation_variance))
        root = np.zeros((6, 6))
        np.fill_diagonal(root[:3, :3], 1.0 / sigma)
        return PairTerm(index - 1, index, np.eye(4), root=root)
    information = length_information(measured, noise)
    return PairTerm(index - 1, index, measured.T_earlier_later, information)


def full_term(
    index: int,
    measured: MeasuredMotion,
    trust: RotationTrust,
    surprise: np.ndarray,
    of_length: float = 0.0,
) -> PairTerm:
    """Rotation, and the direction of the translation, each by what it has been worth lately.

    Args:
        index: Frame that the motion ends at.
        measured: The odometer's motion.
        trust: What it has been worth.
        surprise: ``(3,)`` rad^2 to add to the variance of the rotation.
        of_length: Information of the length too, 1/m^2.
    """
    T = without_bias(measured.T_earlier_later, trust.bias * measured.seconds)
    root = np.zeros((6, 6))
    variance = trust.rotation_variance + measured.extrapolation_variance + surprise
    root[(3, 4, 5), (3, 4, 5)] = 1.0 / np.sqrt(variance)
    length = measured.length
    if length > SHORT:
        along = T[:3, :3].T @ T[:3, 3] / length
        right, down = np.sqrt(trust.direction_variance).tolist()
        sideways = length * np.array((right, down, max(right, down))) + _DIRECTION_FLOOR
        root[:3, :3] = (_IDENTITY - along[:, None] * along) / sideways[:, None]
    return PairTerm(index - 1, index, T, of_length, root)


def network_term(index: int, prior: MotionPrior) -> PairTerm:
    """The pose network's motion."""
    information = np.linalg.inv(prior.covariance + 1e-12 * np.eye(6))
    root = np.linalg.cholesky(0.5 * (information + information.T)).T
    return PairTerm(index - 1, index, prior.T_earlier_later, root=root)


def without_bias(T_earlier_later: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """The motion without a rotation ``(3,)`` (rad, later camera) that was measured too much."""
    T = T_earlier_later.copy()
    T[:3, :3] = T[:3, :3] @ rotation_matrix(-rotation)
    return T
