# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The odometer's memory: velocities by time, and how the camera moved between two stamps."""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left, bisect_right
from itertools import pairwise

import numpy as np

from sfm_depth_ros.errors import DataError, VelocityGapError
from sfm_depth_ros.geometry.frames import invert, twist_to_transform
from sfm_depth_ros.snippets.refusals import RecentOutcomes
from sfm_depth_ros.snippets.values import Displacement, Velocity
from sfm_depth_ros.snippets.velocity_gate import VELOCITY_REASONS, VelocityGate

_KNOWN = 16  # displacements that are kept

_logger = logging.getLogger(__name__)


class VelocityBuffer:
    """Time-sorted body velocities of one robot; thread-safe."""

    def __init__(
        self,
        T_base_camera: np.ndarray,
        max_gap_s: float,
        horizon_s: float = 30.0,
        gate: VelocityGate | None = None,
    ) -> None:
        """Begin empty.

        Args:
            T_base_camera: ``(4, 4)`` pose of the camera's optical frame in the base, metres.
            max_gap_s: Longest time in seconds between two velocities that is interpolated.
            horizon_s: Seconds before the newest velocity that are kept; may be infinite.
            gate: Refuses and counts what no robot can do, NaN included; None = NaN is an error
                and everything else is taken.
        """
        self._gate, self._recent = gate, RecentOutcomes()
        self.max_gap_s = max_gap_s
        self._horizon_s = horizon_s
        self.T_base_camera = np.array(T_base_camera, np.float64)
        self._T_camera_base = invert(self.T_base_camera)
        self._stamps: list[int] = []
        self._velocities: list[Velocity] = []
        # newest displacements: odometry, input checks and scale read the same ones
        self._known: dict[tuple[int, int], Displacement] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._stamps)

    @property
    def newest(self) -> Velocity | None:
        """The velocity with the latest stamp."""
        with self._lock:
            return self._velocities[-1] if self._velocities else None

    @property
    def gated(self) -> str:
        """Reason of ``VELOCITY_REASONS`` that has held for a moment, or an empty string."""
        with self._lock:
            return self._recent.lasting(VELOCITY_REASONS)

    @property
    def refused(self) -> dict[str, int]:
        """Velocities that the gate refused, by reason; empty without a gate."""
        return dict(self._gate.counts) if self._gate else {}

    def add(self, velocity: Velocity) -> None:
        """Take one velocity, in whatever order it comes; the same stamp again replaces.

        A stamp older than the whole horizon means that time jumped back (a bag starts over): what
        was known before is dropped.

        Raises:
            DataError: A component is NaN or infinite, and there is no gate to count it.
        """
        if self._is_refused(velocity):
            return
        twist = np.concatenate([velocity.linear, velocity.angular])
        if twist.shape != (6,) or not np.isfinite(twist).all():
            raise DataError(
                f"velocity at {velocity.stamp_ns} ns is {twist.tolist()}, expected six finite "
                "numbers: check the odometry's publisher"
            )
        with self._lock:
            if self._stamps and self._stamps[-1] - velocity.stamp_ns > self._horizon_s * 1e9:
                _logger.info("velocities jumped back in time: the buffer begins anew")
                self._forget(len(self._stamps))
            self._insert(velocity)
            self._forget(bisect_left(self._stamps, self._stamps[-1] - self._horizon_s * 1e9))

    def clear(self) -> None:
        """Forget everything (after a jump in time); counts stay."""
        with self._lock:
            self._forget(len(self._stamps))
            self._recent.clear()
            if self._gate is not None:
                self._gate.reset()

    def at(self, stamp_ns: int) -> Velocity:
        """The velocity at one instant, linearly interpolated.

        Raises:
            VelocityGapError: The instant is not covered.
        """
        return _interpolate(self._covering(stamp_ns, stamp_ns), stamp_ns)

    def displacement(self, earlier_ns: int, later_ns: int) -> Displacement:
        """Camera motion between two stamps.

        The twist is taken as linear between samples and integrated on SE(3), with rotation and
        the lever arm from the base to the camera.

        Args:
            earlier_ns: First stamp in nanoseconds.
            later_ns: Second stamp in nanoseconds, not before the first.

        Raises:
            VelocityGapError: The interval is not covered; ``pending`` if later samples may do.
        """
        if later_ns < earlier_ns:
            raise ValueError(f"expected earlier_ns <= later_ns, got {earlier_ns} > {later_ns}")
        known = self._known
        found = known.get((earlier_ns, later_ns))
        if found is not None:
            return found
        samples = self._covering(earlier_ns, later_ns)
        first, last = _interpolate(samples, earlier_ns), _interpolate(samples, later_ns)
        inner = [v for v in samples if earlier_ns < v.stamp_ns < later_ns]
        path = [first, *inner, last]
        T_earlier_later = np.eye(4)
        for start, end in pairwise(path):
            T_earlier_later = T_earlier_later @ _move(start, end)
        T_earlier_later = self._T_camera_base @ T_earlier_later @ self.T_base_camera
        if len(known) >= _KNOWN:
            known.clear()
        known[earlier_ns, later_ns] = displacement = Displacement(T_earlier_later)
        return displacement

    def _is_refused(self, velocity: Velocity) -> bool:
        if self._gate is None:
            return False
        with self._lock:
            reason = self._gate.refusal(velocity)
            self._recent.add(velocity.stamp_ns, reason)
        return bool(reason)

    def _insert(self, velocity: Velocity) -> None:
        place = bisect_left(self._stamps, velocity.stamp_ns)
        replaces = place < len(self._stamps) and self._stamps[place] == velocity.stamp_ns
        end = place + 1 if replaces else place
        if place < len(self._stamps):  # what is known is covered: by older ones alone
            self._known = {}
        self._stamps[place:end] = [velocity.stamp_ns]
        self._velocities[place:end] = [velocity]

    def _forget(self, count: int) -> None:
        if count == len(self._stamps):
            self._known = {}
        del self._stamps[:count]
        del self._velocities[:count]

    def _covering(self, earlier_ns: int, later_ns: int) -> list[Velocity]:
        """Velocities from the last one at or before to the first one at or after."""
        with self._lock:
            begin = bisect_right(self._stamps, earlier_ns) - 1
            end = bisect_left(self._stamps, later_ns) + 1
            if begin < 0 and self._stamps:
                ahead_s = (self._stamps[0] - earlier_ns) * 1e-9
                raise VelocityGapError(f"the oldest velocity is {ahead_s:.3f} s too young")
            samples = self._velocities[max(begin, 0) : end]
            is_complete = end <= len(self._stamps)
        self._check_gaps(samples)
        if not samples or not is_complete:
            reason = "no velocity has come yet"
            if samples:
                behind_s = (later_ns - samples[-1].stamp_ns) * 1e-9
                reason = f"the newest velocity is {behind_s:.3f} s older than the image"
            raise VelocityGapError(reason, pending=True)
        return samples

    def _check_gaps(self, samples: list[Velocity]) -> None:
        for before, after in pairwise(samples):
            gap_s = (after.stamp_ns - before.stamp_ns) * 1e-9
            if gap_s > self.max_gap_s:
                raise VelocityGapError(
                    f"no velocity for {gap_s:.3f} s, at most {self.max_gap_s:.3f} s are "
                    "interpolated (max_velocity_gap)"
                )


def _interpolate(samples: list[Velocity], stamp_ns: int) -> Velocity:
    """Linear between the two neighbours; ``samples`` covers the stamp."""
    place = bisect_left([v.stamp_ns for v in samples], stamp_ns)
    after = samples[place]
    if after.stamp_ns == stamp_ns:
        return after
    before = samples[place - 1]
    share = (stamp_ns - before.stamp_ns) / (after.stamp_ns - before.stamp_ns)
    linear = (1 - share) * np.asarray(before.linear) + share * np.asarray(after.linear)
    angular = (1 - share) * np.asarray(before.angular) + share * np.asarray(after.angular)
    return Velocity(stamp_ns, linear, angular)


def _move(start: Velocity, end: Velocity) -> np.ndarray:
    """``T_start_end`` of the body under a twist that changes linearly.

    Two terms of the Magnus series: the mean twist, and the bracket of the two ends, which is what
    makes turning while accelerating exact to the fourth order in time.
    """
    seconds = (end.stamp_ns - start.stamp_ns) * 1e-9
    v0, w0, v1, w1 = start.linear, start.angular, end.linear, end.angular
    linear = (v0 + v1) / 2 + seconds / 12 * (_cross(w0, v1) - _cross(w1, v0))
    angular = (w0 + w1) / 2 + seconds / 12 * _cross(w0, w1)
    return twist_to_transform(linear, angular, seconds)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Product of two ``(3,)`` vectors; ten times as fast as numpy's general one."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
