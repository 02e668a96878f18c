# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One line in the terminal that counts frames while they are worked on."""

from __future__ import annotations

import sys
import time

_PERIOD_S = 0.5


class FrameCounter:
    """Call it with the number of frames done; silent where nobody watches.

    Args:
        what: Word before the number.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._start = self._last = time.monotonic()
        self._count = 0
        self._watched = sys.stderr.isatty()

    def __call__(self, count: int) -> None:
        """Show the count, at most twice a second."""
        self._count = count
        now = time.monotonic()
        if self._watched and now - self._last >= _PERIOD_S:
            self._last = now
            rate = count / (now - self._start)
            print(
                f"\r{self._what}: {count} frames, {rate:.1f} frames/s ",
                end="",
                file=sys.stderr,
                flush=True,
            )

    def end(self) -> None:
        """Clear the line."""
        if self._watched:
            print("\r" + 60 * " " + "\r", end="", file=sys.stderr, flush=True)
