# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tree of ``/tf_static``: compose a chain of fixed transforms between any two frames."""

from __future__ import annotations

from collections import deque

import numpy as np

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.frames import invert


class StaticTransforms:
    """Fixed transforms by frame names; the last word on a pair counts."""

    def __init__(self) -> None:
        self._neighbours: dict[str, dict[str, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self._neighbours)

    @property
    def frames(self) -> list[str]:
        """All names seen, sorted."""
        return sorted(self._neighbours)

    def add(self, parent: str, child: str, T_parent_child: np.ndarray) -> None:
        """Take one transform, ``(4, 4)`` metres; a leading slash (tf of ROS 1) is dropped."""
        parent, child = parent.lstrip("/"), child.lstrip("/")
        self._neighbours.setdefault(parent, {})[child] = T_parent_child
        self._neighbours.setdefault(child, {})[parent] = invert(T_parent_child)

    def lookup(self, target: str, source: str) -> np.ndarray:
        """``T_target_source`` ``(4, 4)``: the pose of ``source`` in ``target``.

        Raises:
            DataError: No chain joins the two; the message names the frames that were seen.
        """
        target, source = target.lstrip("/"), source.lstrip("/")
        found = {target: np.eye(4)}
        queue = deque([target])
        while queue and source not in found:
            here = queue.popleft()
            for there, T_here_there in self._neighbours.get(here, {}).items():
                if there not in found:
                    found[there] = found[here] @ T_here_there
                    queue.append(there)
        if source not in found:
            seen = ", ".join(self.frames) or "none"
            raise DataError(
                f"no chain of static transforms from {target!r} to {source!r} (frames seen: "
                f"{seen}): publish it on /tf_static, or give base_to_camera"
            )
        return found[source]
