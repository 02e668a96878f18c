# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time offset between odometry and camera, from the rotation that both see.

The offset at which the odometer's rotation agrees best with the image's over the last rotations;
one-dimensional form of Kelly and Sukhatme, IJRR 2011.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from sfm_depth_ros.errors import VelocityGapError
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.odometry_step import TimeOffset

_GRID_NS = 20_000_000
_LONGEST_S = 0.3  # offsets looked for, either sign
_STEP_S = 0.01
_MOTIONS = 150
_FEWEST = 30
_EVERY = 10  # motions between two estimates
_LEAST_CHANGE = 0.02  # rad/s, standard deviation of the rotation rate below which nothing is seen


class TimeOffsetEstimator:
    """Collects rotations of both; estimates anew every second or so."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int, float]] = deque(maxlen=_MOTIONS)
        self._grid_ns: deque[int] = deque(maxlen=2 * _MOTIONS * 10)
        self._rates: deque[float] = deque(maxlen=2 * _MOTIONS * 10)
        self._estimate: TimeOffset | None = None
        self._since = 0

    @property
    def estimate(self) -> TimeOffset | None:
        """The newest estimate, None until rotations have shown it."""
        return self._estimate

    def clear(self) -> None:
        """Forget everything (after a jump in time)."""
        self._seen.clear()
        self._grid_ns.clear()
        self._rates.clear()
        self._estimate = None

    def observe(
        self, earlier_ns: int, later_ns: int, rotation: np.ndarray, velocities: VelocityBuffer
    ) -> None:
        """Take the image's rotation between two images.

        Args:
            earlier_ns: Stamp of the first.
            later_ns: Stamp of the second.
            rotation: ``(3,)`` axis times angle in the camera's axes.
            velocities: The odometer's memory.
        """
        about_up = velocities.T_base_camera[2, :3] @ rotation
        self._seen.append((earlier_ns, later_ns, float(about_up)))
        self._sample(velocities, earlier_ns, later_ns)
        self._since += 1
        if self._since >= _EVERY and len(self._seen) >= _FEWEST:
            self._since = 0
            found = self._search()
            self._estimate = found if found is not None else self._estimate

    def _sample(self, velocities: VelocityBuffer, earlier_ns: int, later_ns: int) -> None:
        """Read the yaw rate on a regular grid, as far as it is known."""
        newest = velocities.newest
        if newest is None:
            return
        longest_ns = int(_LONGEST_S * 1e9)
        # a recording's odometry may be known to its end already
        end = min(newest.stamp_ns, later_ns + longest_ns)
        begin = self._grid_ns[-1] + _GRID_NS if self._grid_ns else earlier_ns - longest_ns
        if earlier_ns - begin > 4 * longest_ns:  # a gap: begin behind it
            self._grid_ns.clear()
            self._rates.clear()
            self._seen.clear()
            begin = earlier_ns - longest_ns
        for stamp in range(begin, end + 1, _GRID_NS):
            try:
                rate = float(velocities.at(stamp).angular[2])
            except VelocityGapError:
                continue
            self._grid_ns.append(stamp)
            self._rates.append(rate)

    def _search(self) -> TimeOffset | None:
        if len(self._grid_ns) < _FEWEST:
            return None
        start = self._grid_ns[0]
        times = (np.array(self._grid_ns, np.int64) - start) * 1e-9
        rates = np.array(self._rates)
        angle = np.concatenate([[0.0], np.cumsum(0.5 * (rates[1:] + rates[:-1]) * np.diff(times))])
        earlier = np.array([(seen[0] - start) * 1e-9 for seen in self._seen])
        later = np.array([(seen[1] - start) * 1e-9 for seen in self._seen])
        seen_angle = np.array([seen[2] for seen in self._seen])
        offsets = np.arange(-_LONGEST_S, _LONGEST_S + _STEP_S / 2, _STEP_S)
        covered = (earlier + offsets[0] >= times[0]) & (later + offsets[-1] <= times[-1])
        earlier, later, seen_angle = earlier[covered], later[covered], seen_angle[covered]
        if len(seen_angle) < _FEWEST or np.std(seen_angle / (later - earlier)) < _LEAST_CHANGE:
            return None
        measured = np.interp(later + offsets[:, None], times, angle)
        measured -= np.interp(earlier + offsets[:, None], times, angle)
        difference = measured - seen_angle
        difference -= np.median(difference, axis=1, keepdims=True)  # a constant bias
        scale = 1.4826 * np.median(np.abs(difference), axis=1).min() + 1e-6
        cost = np.log1p((difference / (3 * scale)) ** 2).sum(1) * 9 / 2  # Cauchy
        return _minimum(offsets, cost)


def _minimum(offsets: np.ndarray, cost: np.ndarray) -> TimeOffset | None:
    """Parabola through the least cost; its curvature gives the standard deviation."""
    best = int(cost.argmin())
    if not 1 <= best < len(cost) - 1:
        return None
    before, here, after = cost[best - 1 : best + 2]
    curvature = before - 2 * here + after
    if curvature <= 0:
        return None
    seconds = offsets[best] + 0.5 * _STEP_S * (before - after) / curvature
    return TimeOffset(float(seconds), float(_STEP_S / np.sqrt(curvature)))
