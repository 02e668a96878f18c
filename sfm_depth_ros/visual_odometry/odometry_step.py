# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Result of one image: the camera's motion since the image before, and the landmarks seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.visual_odometry.landmarks import Landmarks

STANDING = "standing"  # the image does not move: exactly no motion
VISUAL = "visual"  # rotation and direction from the image, length from odometer or landmarks
FUSED = "fused"  # the same, with the odometer's rotation as one measurement among others
ODOMETER = "odometer"  # the image gives nothing: the odometer's motion as it is
NETWORK = "network"  # the pose network's motion as it is
NONE = "none"  # nothing gives a motion in metres


@dataclass(frozen=True, eq=False)
class MotionPrior:
    """Motion of the camera between two images as another source predicts it."""

    T_earlier_later: np.ndarray  # (4, 4) pose of the later camera in the earlier one, metres
    covariance: np.ndarray  # (6, 6) translation (m), rotation (rad) of the error, later frame


@dataclass(frozen=True)
class TrackCounts:
    """Number of tracks in one image."""

    tracked: int = 0  # tracks that reach this image from the one before
    moving: int = 0  # of these, moving by themselves
    landmarks: int = 0  # static, with a known inverse depth


@dataclass(frozen=True)
class TimeOffset:
    """Time by which the odometer's stamps are late against the camera's."""

    seconds: float  # odometry describes the motion at (its stamp - seconds)
    std: float  # standard deviation, seconds


@dataclass(frozen=True, eq=False)
class OdometryStep:
    """Motion of the camera between the newest two images, and what is known of the newest.

    ``T_earlier_later`` and ``covariance`` are finite or None, never NaN.
    """

    earlier_ns: int | None  # stamp of the image before, None for the first after a reset
    later_ns: int  # stamp of this image
    T_earlier_later: np.ndarray | None  # (4, 4) pose of this camera in the earlier one, metres
    covariance: np.ndarray | None  # (6, 6) of T_true = T exp(error): translation, rotation
    source: str  # standing, visual, fused, odometer, network or none
    landmarks: Landmarks
    counts: TrackCounts
    remarks: tuple[str, ...] = ()  # reasons for a lesser source, in words, for diagnostics
    length_source: str = ""  # odometer, extrapolated, landmarks, network or "" where unknown
    time_offset: TimeOffset | None = None  # None until rotations have shown it
    T_by_image: np.ndarray | None = None  # (4, 4) motion by the image alone, before any fusion

    @property
    def seconds(self) -> float:
        """Time since the image before; 0 for the first."""
        return 0.0 if self.earlier_ns is None else (self.later_ns - self.earlier_ns) * 1e-9

    @property
    def is_moving(self) -> bool:
        """Whether the camera is known to have moved since then."""
        return self.source not in (STANDING, NONE)
