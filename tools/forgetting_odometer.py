# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometer of :mod:`tools.forgetting`: exact, or with a biased yaw rate, or late."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.snippets.values import Snippet, Velocity
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.world.drive import SyntheticDrive
from tools.forgetting_worlds import Domains

PERIOD_NS = 20_000_000  # between two velocities


@dataclass(frozen=True)
class Odometer:
    """Faults of the odometer that measures a rendered stream."""

    yaw_bias_deg_s: float = 0.0  # Added to the true yaw rate
    late_s: float = 0.0  # Between a velocity and its stamp

    def measured(self, domains: Domains) -> Iterator[Snippet]:
        """The stream as this odometer measures it.

        Raises:
            ValueError: A recorded stream has its own odometer.
        """
        if self == Odometer():
            yield from domains.stream
            return
        if domains.spec is None:
            raise ValueError("--yaw-bias and --late: expected a rendered stream")
        drive = SyntheticDrive(domains.spec)
        for snippet in domains.stream:
            yield self._measured(snippet, drive)

    def _measured(self, snippet: Snippet, drive: SyntheticDrive) -> Snippet:
        stamps = [int(stamp) for stamp in snippet.stamps_ns]
        velocities = VelocityBuffer(drive.T_base_camera, max_gap_s=0.3)
        for stamp_ns in range(stamps[0] - PERIOD_NS, stamps[2] + 2 * PERIOD_NS, PERIOD_NS):
            velocities.add(self._velocity(drive, stamp_ns))
        before, after = (
            velocities.displacement(earlier, later).T_earlier_later
            for earlier, later in pairwise(stamps)
        )
        motions = np.stack([before, invert(after)]).astype(np.float32)
        lengths = np.linalg.norm(motions[:, :3, 3], axis=1)
        return dataclasses.replace(snippet, T_measured=motions, displacements=lengths)

    def _velocity(self, drive: SyntheticDrive, stamp_ns: int) -> Velocity:
        true_ns = min(max(stamp_ns - round(self.late_s * 1e9), 0), drive.stamp_ns(len(drive) - 1))
        exact = drive.velocity(true_ns)
        bias = np.array([0.0, 0.0, math.radians(self.yaw_bias_deg_s)])
        return Velocity(stamp_ns, exact.linear, exact.angular + bias)
