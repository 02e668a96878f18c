# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of velocities by themselves: impossible samples, and a twist that is never filled."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sfm_depth_ros.snippets.values import Velocity

VELOCITY_REASONS = ("not_finite", "acceleration", "too_fast")

MAX_ACCELERATION = 20.0  # m/s^2: an emergency stop is 10
MAX_ANGULAR_ACCELERATION = 40.0  # rad/s^2
_NOISE = np.array([1.0, 1.0])  # m/s and rad/s by which two neighbouring samples may always differ
_AGREEING = 3  # samples in a row that agree with each other are believed after a jump
_FORGOTTEN_S = 1.0  # after such a gap any velocity is possible
_STEPS = 10  # moving steps of the pose before an empty twist is reported
_PATH_M = 0.5  # metres that they add up to
_LONGEST_STEP_M = 0.5  # a longer one is a correction of the pose, not a motion


class VelocityGate:
    """Refuses samples that no robot could reach from the one before; counts them by reason.

    A true change without samples between (a gap, a restarted odometer) is accepted once
    three samples in a row agree with each other.

    Args:
        max_speed: Metres per second that the robot never exceeds.
    """

    def __init__(self, max_speed: float = 70.0) -> None:
        self.counts = dict.fromkeys(VELOCITY_REASONS, 0)
        self._max_speed = max_speed
        self._last: Velocity | None = None
        self._doubted: list[Velocity] = []

    def refusal(self, velocity: Velocity) -> str:
        """Reason of ``VELOCITY_REASONS`` why a sample is unusable, or an empty string."""
        reason = self._reason(velocity)
        if reason:
            self.counts[reason] += 1
        return reason

    def reset(self) -> None:
        """Forget the sample before (time jumped); counts stay."""
        self._last, self._doubted = None, []

    def _reason(self, velocity: Velocity) -> str:
        if not (np.isfinite(velocity.linear).all() and np.isfinite(velocity.angular).all()):
            return "not_finite"
        if np.linalg.norm(velocity.linear) > self._max_speed:
            return "too_fast"
        if self._last is None or _is_reachable(self._last, velocity):
            self._believe(velocity)
            return ""
        if self._doubted and not _is_reachable(self._doubted[-1], velocity):
            self._doubted = []
        self._doubted.append(velocity)
        if len(self._doubted) < _AGREEING:
            return "acceleration"
        self._believe(velocity)
        return ""

    def _believe(self, velocity: Velocity) -> None:
        self._last, self._doubted = velocity, []


def _is_reachable(before: Velocity, after: Velocity) -> bool:
    """Whether a robot can change between two velocities in the time between them."""
    seconds = abs(after.stamp_ns - before.stamp_ns) * 1e-9
    if seconds > _FORGOTTEN_S:
        return True
    change = np.array(
        [
            np.linalg.norm(np.subtract(after.linear, before.linear)),
            np.linalg.norm(np.subtract(after.angular, before.angular)),
        ]
    )
    limits = np.array([MAX_ACCELERATION, MAX_ANGULAR_ACCELERATION]) * seconds
    return bool((change <= limits + _NOISE).all())


class TwistWatch:
    """Detects odometry whose pose moves while its twist stays zero."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._steps, self._path = 0, 0.0

    @property
    def fault(self) -> str:
        """Message with the remedy; "" while nothing is wrong."""
        if self._steps < _STEPS or self._path < _PATH_M:
            return ""
        return (
            f"the odometry's pose moved by {self._path:.1f} m while its twist stayed zero: fill "
            "twist.twist in its publisher"
        )

    def add(self, velocity: Velocity, position: ArrayLike) -> None:
        """Take a velocity and the position of the same message, ``(3,)`` metres."""
        here = np.asarray(position, dtype=np.float64)
        step = 0.0 if self._last is None else float(np.linalg.norm(here - self._last))
        self._last = here
        if velocity.linear.any() or velocity.angular.any():
            self._steps, self._path = 0, 0.0
        elif 1e-4 < step <= _LONGEST_STEP_M:
            self._steps, self._path = self._steps + 1, self._path + step
