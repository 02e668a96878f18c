# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera motion as the odometer measured it, also while its newest message is still to come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sfm_depth_ros.errors import VelocityGapError
from sfm_depth_ros.geometry.frames import invert, rotation_vector, twist_to_transform
from sfm_depth_ros.snippets.velocity import VelocityBuffer

_LONGEST_EXTRAPOLATION_S = 0.35
_ACCELERATION = 2.0  # m/s^2 and rad/s^2 that an extrapolation may miss, one standard deviation


@dataclass(frozen=True, eq=False)
class MeasuredMotion:
    """Displacement of the camera between two images."""

    T_earlier_later: np.ndarray  # (4, 4) metres
    seconds: float  # its duration; the stamp of a frame moves on while the camera stands
    extrapolated_s: float = 0.0  # seconds at the end for which the newest velocity was held

    @cached_property
    def length(self) -> float:
        """Metres."""
        return math.hypot(*self.T_earlier_later[:3, 3].tolist())

    @cached_property
    def rotation(self) -> np.ndarray:
        """Axis times angle, ``(3,)`` radians in the later camera."""
        return rotation_vector(self.T_earlier_later[:3, :3])

    @cached_property
    def angle(self) -> float:
        """Radians."""
        return math.hypot(*self.rotation.tolist())

    @property
    def is_extrapolated(self) -> bool:
        """Whether a better measurement may come."""
        return self.extrapolated_s > 0

    @property
    def extrapolation_variance(self) -> float:
        """Variance of length (m^2) and of rotation (rad^2) by the extrapolation alone."""
        return float((0.5 * _ACCELERATION * self.extrapolated_s**2) ** 2)


class OdometerInput:
    """Reads displacements out of the odometer's memory.

    Args:
        velocities: None without odometer.
    """

    def __init__(self, velocities: VelocityBuffer | None) -> None:
        self.velocities = velocities
        self.late_ns = 0  # the odometer's stamps are late by this against the camera's

    def between(self, earlier_ns: int, later_ns: int) -> MeasuredMotion | None:
        """Motion between two images; None in a gap of the odometer."""
        if self.velocities is None:
            return None
        earlier_ns, later_ns = earlier_ns + self.late_ns, later_ns + self.late_ns
        try:
            displacement = self.velocities.displacement(earlier_ns, later_ns)
            seconds = (later_ns - earlier_ns) * 1e-9
            return MeasuredMotion(displacement.T_earlier_later, seconds)
        except VelocityGapError as gap:
            return self._extrapolated(earlier_ns, later_ns) if gap.pending else None

    def _extrapolated(self, earlier_ns: int, later_ns: int) -> MeasuredMotion | None:
        buffer = self.velocities
        newest = buffer.newest if buffer is not None else None
        if buffer is None or newest is None:
            return None
        missing_s = (later_ns - newest.stamp_ns) * 1e-9
        if missing_s > _LONGEST_EXTRAPOLATION_S:
            return None
        known = np.eye(4)
        if newest.stamp_ns > earlier_ns:
            try:
                known = buffer.displacement(earlier_ns, newest.stamp_ns).T_earlier_later
            except VelocityGapError:
                return None
        begin_ns = max(newest.stamp_ns, earlier_ns)
        held = twist_to_transform(newest.linear, newest.angular, (later_ns - begin_ns) * 1e-9)
        T_base_camera = buffer.T_base_camera
        motion = known @ invert(T_base_camera) @ held @ T_base_camera
        return MeasuredMotion(motion, (later_ns - earlier_ns) * 1e-9, missing_s)
