# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometry whose twist is never filled: the pose moves, the speed stays zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sfm_depth_ros.snippets.values import Velocity

_STEPS = 10  # moving steps of the pose before anything is named
_PATH_M = 0.5  # metres that they add up to
_LONGEST_STEP_M = 0.5  # a longer one is a correction of the pose, not a motion


class TwistWatch:
    """Compares each velocity with the steps of the pose that came with it."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._steps, self._path = 0, 0.0

    @property
    def fault(self) -> str:
        """What is wrong, with the remedy; "" while nothing is."""
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
