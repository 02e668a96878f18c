# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""True depth and motion of a bag, given to its snippets."""

from __future__ import annotations

import dataclasses

import numpy as np

from sfm_depth_ros.bags.rig import BagRig
from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.snippets.builder import MAX_WAITING
from sfm_depth_ros.snippets.values import Snippet

_KEPT = 2 * MAX_WAITING  # frames that a snippet may be made of later


class TruthMemory:
    """Remembers the true depth of the newest frames until they are targets of snippets.

    Args:
        rig: Extrinsics and true poses of the bag.
    """

    def __init__(self, rig: BagRig) -> None:
        self._rig = rig
        self._depths: dict[int, np.ndarray] = {}

    def remember(self, stamp_ns: int, depth: np.ndarray | None) -> None:
        """Take a frame's true depth, if it has one."""
        if depth is not None:
            self._depths[stamp_ns] = depth
        while len(self._depths) > _KEPT:
            del self._depths[next(iter(self._depths))]

    def attach(self, snippet: Snippet) -> Snippet:
        """The snippet with its target's true depth and its true motion, where known."""
        depth = self._depths.get(int(snippet.stamps_ns[1]))
        return dataclasses.replace(snippet, depth=depth, T_source_target=self._motion(snippet))

    def _motion(self, snippet: Snippet) -> np.ndarray | None:
        poses = [self._rig.poses.at(int(stamp)) for stamp in snippet.stamps_ns]
        if any(pose is None for pose in poses):
            return None
        earlier, target, later = (pose @ self._rig.T_base_camera for pose in poses)
        motions = [invert(source) @ target for source in (earlier, later)]
        return np.stack(motions).astype(np.float32)
