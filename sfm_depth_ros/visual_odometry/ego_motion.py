# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera motion between two images with its covariance, and the integrated path.

Covariances are ``(6, 6)``, ordered (x, y, z, rotation about x, y, z) as in ``nav_msgs/Odometry``.
They belong to a small motion applied on the right: ``T_true = T exp(error)``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.geometry.frames import (
    adjoint_matrix,
    invert,
    rotation_vector,
    transform_logarithm,
)

_NS = 1e-9


@dataclass(frozen=True)
class EgoMotion:
    """Motion of one frame (the camera's, or the robot's base) between two images."""

    earlier_ns: int  # Stamp of the earlier image
    later_ns: int  # Stamp of the later image
    T_earlier_later: np.ndarray  # `(4, 4)` pose of the frame at the later stamp in the earlier one
    # `(6, 6)` of the error's translation (metres) and rotation (radians) in the later frame
    covariance: np.ndarray

    @property
    def seconds(self) -> float:
        """Time between the two images."""
        return (self.later_ns - self.earlier_ns) * _NS

    @property
    def length(self) -> float:
        """Translation in metres."""
        return float(np.linalg.norm(self.T_earlier_later[:3, 3]))

    def carried_to(self, T_frame_this: np.ndarray) -> EgoMotion:
        """The motion of a frame that is rigidly mounted to this one.

        Args:
            T_frame_this: ``(4, 4)`` pose of this motion's frame in the wanted one: with the pose
                of the camera in the base, the camera's motion becomes the base's.
        """
        transform = T_frame_this @ self.T_earlier_later @ invert(T_frame_this)
        adjoint = adjoint_matrix(T_frame_this)
        covariance = adjoint @ self.covariance @ adjoint.T
        return EgoMotion(self.earlier_ns, self.later_ns, transform, covariance)

    @property
    def twist(self) -> np.ndarray:
        """Mean velocity, ``(6,)`` m/s and rad/s in the moving frame: log(T) / seconds."""
        return transform_logarithm(self.T_earlier_later) / self.seconds

    @property
    def twist_covariance(self) -> np.ndarray:
        """``(6, 6)`` covariance of ``twist``."""
        return self.covariance / self.seconds**2


class MotionUncertainty:
    """Covariance of predicted motions, from how far recent ones were from the odometer.

    The second moment of the residuals about zero is used, so a bias (a wrong scale) counts as
    error too. Before there are enough residuals, or without an odometer, the covariance is the
    configured share of the motion.

    Args:
        window: How many of the newest residuals count.
        translation_share: Standard deviation of a translation as a share of its length.
        rotation_share: Standard deviation of a rotation as a share of its angle.
        translation_floor: Smallest standard deviation of a translation, metres.
        rotation_floor: Smallest standard deviation of a rotation, radians.
    """

    def __init__(
        self,
        window: int = 50,
        translation_share: float = 0.2,
        rotation_share: float = 0.2,
        translation_floor: float = 0.01,
        rotation_floor: float = 0.002,
    ) -> None:
        self._residuals: deque[np.ndarray] = deque(maxlen=window)
        self._enough = min(window, 12)
        self._shares = (translation_share, rotation_share)
        self._floor = np.diag([translation_floor**2] * 3 + [rotation_floor**2] * 3)

    def observe(self, predicted: np.ndarray, measured: np.ndarray) -> None:
        """Take a predicted motion and the odometer's, both ``(4, 4)`` ``T_earlier_later``."""
        self._residuals.append(transform_logarithm(invert(predicted) @ measured))

    def covariance(self, predicted: np.ndarray) -> np.ndarray:
        """``(6, 6)`` covariance of a predicted ``(4, 4)`` motion."""
        if len(self._residuals) >= self._enough:
            residuals = np.array(self._residuals)
            return residuals.T @ residuals / len(residuals) + self._floor
        translation = self._shares[0] * np.linalg.norm(predicted[:3, 3])
        rotation = self._shares[1] * np.linalg.norm(rotation_vector(predicted[:3, :3]))
        return np.diag([translation**2] * 3 + [rotation**2] * 3) + self._floor

    def clear(self) -> None:
        """Forget the residuals (a new model)."""
        self._residuals.clear()


class VisualOdometry:
    """Adds motions up to a pose in the frame where the first one began.

    Args:
        T_base_camera: ``(4, 4)`` pose of the camera's optical frame in the robot's base.
    """

    def __init__(self, T_base_camera: np.ndarray) -> None:
        self._T_base_camera = np.asarray(T_base_camera, dtype=np.float64)
        self._T_odom_base = np.eye(4)
        self._covariance = np.zeros((6, 6))

    def add(self, motion: EgoMotion) -> EgoMotion:
        """Move on by one motion of the camera.

        Returns:
            The same motion of the base.
        """
        base = motion.carried_to(self._T_base_camera)
        back = adjoint_matrix(invert(base.T_earlier_later))
        self._covariance = back @ self._covariance @ back.T + base.covariance
        self._T_odom_base = self._T_odom_base @ base.T_earlier_later
        return base

    @property
    def T_odom_base(self) -> np.ndarray:
        """Pose of the base where the newest motion ended, ``(4, 4)``."""
        return self._T_odom_base.copy()

    @property
    def pose_covariance(self) -> np.ndarray:
        """``(6, 6)`` of the pose, about the axes of the odom frame as ROS has it."""
        rotation = np.kron(np.eye(2), self._T_odom_base[:3, :3])
        return rotation @ self._covariance @ rotation.T

    def reset(self) -> None:
        """Begin again at the origin."""
        self._T_odom_base = np.eye(4)
        self._covariance = np.zeros((6, 6))
