# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""True poses by time, interpolated between neighbours."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from sfm_depth_ros.geometry.frames import rotation_matrix, rotation_vector

MAX_GAP_S = 0.5


class PoseTrack:
    """Poses of one body in one world frame."""

    def __init__(self, poses: dict[int, np.ndarray]) -> None:
        """Take ``(4, 4)`` poses by their stamp in nanoseconds."""
        self._stamps = sorted(poses)
        self._poses = poses

    def __len__(self) -> int:
        return len(self._stamps)

    def at(self, stamp_ns: int) -> np.ndarray | None:
        """``T_world_body`` ``(4, 4)``, or None outside the track and in its gaps."""
        if stamp_ns in self._poses:
            return self._poses[stamp_ns]
        place = bisect_left(self._stamps, stamp_ns)
        if place == 0 or place == len(self._stamps):
            return None
        before, after = self._stamps[place - 1], self._stamps[place]
        if after - before > MAX_GAP_S * 1e9:
            return None
        share = (stamp_ns - before) / (after - before)
        return _between(self._poses[before], self._poses[after], share)


def _between(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """Straight line for the position, shortest turn for the orientation."""
    answer = np.eye(4)
    turn = rotation_vector(a[:3, :3].T @ b[:3, :3])
    answer[:3, :3] = a[:3, :3] @ rotation_matrix(share * turn)
    answer[:3, 3] = (1 - share) * a[:3, 3] + share * b[:3, 3]
    return answer
