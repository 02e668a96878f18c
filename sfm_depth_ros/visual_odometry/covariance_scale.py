# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Factors on the image's covariance, learnt from how far its motions were from the odometer's.

Residuals of the tracks do not show what all of them have in common: calibration, rolling
shutter, neighbours that err together. The odometer's rotation and direction do. Its own noise is
in the disagreement too, so that the factors err to the cautious side, and are bounded there.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from sfm_depth_ros.geometry.frames import rotation_vector
from sfm_depth_ros.visual_odometry.median import median

_MEMORY = 60  # motions
_FEWEST = 20  # before which the factors are 1
_MEDIAN_SQUARE = 0.455  # of a standard normal variable
_OUTLIER = 25.0  # variances from which a square counts no more
_SMALLEST, _LARGEST = 1.0 / 16.0, 4.0
_SIDEWAYS = 0.5  # share of an axis across the direction of travel that is compared, at least
_LEAST_LENGTH = 0.02  # metres, below which a motion has no direction worth comparing


class CovarianceScale:
    """Compares motions by the image alone with the odometer's, over the newest seconds."""

    def __init__(self) -> None:
        self._rotations: deque[float] = deque(maxlen=3 * _MEMORY)  # squares over variances
        self._directions: deque[float] = deque(maxlen=2 * _MEMORY)

    def observe(self, T_seen: np.ndarray, covariance: np.ndarray, T_measured: np.ndarray) -> None:
        """Take one motion.

        Args:
            T_seen: ``(4, 4)`` ``T_earlier_later`` by the image.
            covariance: ``(6, 6)`` of it, not scaled: translation, rotation, later camera.
            T_measured: ``(4, 4)`` by the odometer, without its bias.
        """
        variance = np.diag(covariance)
        rotation = rotation_vector(T_seen[:3, :3].T @ T_measured[:3, :3])
        self._rotations.extend((rotation**2 / variance[3:]).tolist())
        length = math.hypot(*T_measured[:3, 3].tolist())
        if length < _LEAST_LENGTH:
            return
        along = T_seen[:3, :3].T @ T_measured[:3, 3] / length
        apart = T_seen[:3, :3].T @ (T_measured[:3, 3] - T_seen[:3, 3])
        apart = apart - along * (along @ apart)
        across = 1.0 - along**2
        chosen = across > _SIDEWAYS
        self._directions.extend((apart**2 / (across**2 * variance[:3]))[chosen].tolist())

    def scaled(self, covariance: np.ndarray, T_seen: np.ndarray) -> np.ndarray:
        """The covariance with the factors on rotation and direction; the length's stays."""
        translation = T_seen[:3, :3].T @ T_seen[:3, 3]
        length = max(math.hypot(*translation.tolist()), 1e-9)
        along = np.outer(translation, translation) / length**2
        change = np.zeros((6, 6))
        change[:3, :3] = along + math.sqrt(_factor(self._directions)) * (np.eye(3) - along)
        change[3:, 3:] = math.sqrt(_factor(self._rotations)) * np.eye(3)
        return np.asarray(change @ covariance @ change.T)


def _factor(squares: deque[float]) -> float:
    if len(squares) < 2 * _FEWEST:
        return 1.0
    values = np.array(squares)
    usual = median(values) / _MEDIAN_SQUARE
    # bends and traffic have long tails, of which a few count in part
    factor = float(np.minimum(values, _OUTLIER * usual).mean())
    return min(max(factor, _SMALLEST), _LARGEST)
