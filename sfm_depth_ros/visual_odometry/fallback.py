# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Steps without a motion from the corners: another source's, or none because the camera stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.visual_odometry import odometry_step as sources
from sfm_depth_ros.visual_odometry.landmarks import Landmarks
from sfm_depth_ros.visual_odometry.odometer_input import MeasuredMotion
from sfm_depth_ros.visual_odometry.odometry_step import (
    MotionPrior,
    OdometryStep,
    TimeOffset,
    TrackCounts,
)

_STANDING_COVARIANCE = np.diag([1e-3**2] * 3 + [1e-4**2] * 3)
_SHARE, _FLOOR = 0.1, 0.005  # of an odometer's length that is not confirmed
_ROTATION = 0.02  # rad


@dataclass(frozen=True, eq=False)
class OdometryImage:
    """One image with the motion up to it by other sources."""

    grey: np.ndarray
    stamp_ns: int
    intrinsics: Intrinsics
    earlier_ns: int  # stamp of the image before
    measured: MeasuredMotion | None  # since the newest frame of the window
    network: MotionPrior | None


def standing_step(
    image: OdometryImage,
    landmarks: Landmarks,
    tracked: int,
    remark: str,
    time_offset: TimeOffset | None,
) -> OdometryStep:
    """Step of exactly no motion."""
    counts = TrackCounts(tracked, 0, len(landmarks))
    remarks = (remark,) if remark else ()
    return OdometryStep(
        image.earlier_ns, image.stamp_ns, np.eye(4), _STANDING_COVARIANCE.copy(),
        sources.STANDING, landmarks, counts, remarks, "", time_offset,
    )  # fmt: skip


def fallback_step(
    image: OdometryImage,
    measured: MeasuredMotion | None,
    tracked: int,
    reason: str,
    time_offset: TimeOffset | None,
) -> OdometryStep:
    """Step of the odometer's motion ``measured``, else the pose network's, else none."""
    T, covariance, source, length_source = None, None, sources.NONE, ""
    if measured is not None:
        T, source, length_source = measured.T_earlier_later, sources.ODOMETER, "odometer"
        sigma = _SHARE * measured.length + _FLOOR
        covariance = np.diag([sigma**2] * 3 + [_ROTATION**2] * 3)
    elif image.network is not None:
        T, covariance = image.network.T_earlier_later, image.network.covariance
        source, length_source = sources.NETWORK, "network"
    return OdometryStep(
        image.earlier_ns, image.stamp_ns, T, covariance, source,
        Landmarks.none(image.stamp_ns, image.intrinsics), TrackCounts(tracked), (reason,),
        length_source, time_offset,
    )  # fmt: skip
