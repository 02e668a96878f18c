# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""New corners of the newest image, looked for while nobody waits for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.visual_odometry.motion_search import rays_of
from sfm_depth_ros.visual_odometry.sliding_window import SlidingWindow
from sfm_depth_ros.visual_odometry.tracker import PointTracker


@dataclass(frozen=True, eq=False)
class _Image:
    window: SlidingWindow
    grey: np.ndarray
    valid: np.ndarray | None
    intrinsics: Intrinsics
    everywhere: bool


class CornerSearch:
    """Holds the newest image until its corners have become tracks of the window.

    Args:
        tracker: Finds the corners.
    """

    def __init__(self, tracker: PointTracker) -> None:
        self._tracker = tracker
        self._image: _Image | None = None
        self._next_id = 0

    def put(
        self, window: SlidingWindow, grey: np.ndarray, valid: np.ndarray | None,
        intrinsics: Intrinsics, everywhere: bool,
    ) -> None:  # fmt: skip
        """Take the newest image of a window.

        Args:
            window: Gets the tracks.
            grey: ``(H, W)`` uint8.
            valid: ``(H, W)`` bool, False where the image has no source; None = all valid.
            intrinsics: Camera of the image.
            everywhere: Whether to search all of the image, not only a strip.
        """
        self._image = _Image(window, grey, valid, intrinsics, everywhere)

    def drop(self) -> None:
        """Forget the image."""
        self._image = None

    def run(self) -> bool:
        """Add the corners to the window's tracks; False where there was nothing to search."""
        image, self._image = self._image, None
        if image is None:
            return False
        tracks = image.window.tracks
        new = self._tracker.new_corners(image.grey, tracks.pixels, image.valid, image.everywhere)
        rays = rays_of(new, image.intrinsics)
        image.window.tracks = tracks.with_corners(self._next_id, new, rays)
        self._next_id += len(new)
        return True
