# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Slip of wheels in the middle of a drive, from the odometer's steps between snippets.

Slip that lasts from the first second has no step: it is left to the witnesses of metres.
"""

from __future__ import annotations

import math

import numpy as np

from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.visual_odometry.snippet_tracks import SnippetTracks

BEGINS, ENDS = 0.2, 0.15  # |log| of the odometer's factor at which slip begins and ends
SMALLEST = 0.08  # a smaller step is that of noise and of curves, which would add up
LEAK = 0.8  # share of what has added up that a snippet without slip keeps
PATIENCE_S = 30.0  # wheels slip for less; then metres have to be earned anew


class SlipWatch:
    """Adds up the steps of successive snippets.

    Attributes:
        reason: That wheels slip, for people; empty while they do not.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._log = 0.0
        self._began_ns = 0
        self._last_ns: np.ndarray | None = None

    def is_slipping(self, snippet: Snippet, tracks: SnippetTracks, is_trusted: bool) -> bool:
        """Take the next snippet.

        Args:
            snippet: With what the odometer measured.
            tracks: Its corners.
            is_trusted: Whether the metres before it were believed; otherwise a step may be the
                end of slip, and nothing is refused.

        Returns:
            Whether its metres are wrong.
        """
        last, self._last_ns = self._last_ns, snippet.stamps_ns
        now_ns = int(snippet.stamps_ns[1])
        if not is_trusted or (self.reason and not self._is_recent(now_ns)):
            self.reason, self._log = "", 0.0
            return False
        if not self.reason and (last is None or (last[1:] != snippet.stamps_ns[:2]).any()):
            self._log = 0.0  # not the interval that the snippet before ended with
        step = tracks.odometer_step()
        if not self.reason:
            self._log *= LEAK
        if abs(step) > SMALLEST:  # false where the step is unknown
            self._log += step
        if abs(self._log) > (ENDS if self.reason else BEGINS):
            self._begin(now_ns)
        elif self.reason:
            self.reason, self._log = "", 0.0
            return True  # half of this snippet's motion was still wrong
        return bool(self.reason)

    def _begin(self, now_ns: int) -> None:
        if not self.reason:
            self._began_ns = now_ns
        self.reason = (
            f"wheel_slip: the odometer measures {math.exp(self._log):.2f} times what it did "
            "before, by the same points in the images; nothing is taken until it is back"
        )

    def _is_recent(self, now_ns: int) -> bool:
        return 0 <= now_ns - self._began_ns < PATIENCE_S * 1e9
