# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Outcomes of the last seconds of a stream: whether one outcome has held for a moment."""

from __future__ import annotations

from collections import deque

WINDOW_S = 4.0  # looked back at
MOMENT_S = 1.0  # of the window that one outcome must have held
_LONGEST_S = 0.5  # that one sample stands for: a silent stream holds nothing


class RecentOutcomes:
    """Adds up how long each outcome held in the last seconds of a stream, by its stamps.

    A sample stands for the time since the one before. Not thread-safe.
    """

    def __init__(self) -> None:
        self._newest_ns: int | None = None
        self._held: deque[tuple[int, str, float]] = deque()

    def add(self, stamp_ns: int, outcome: str) -> None:
        """Note the outcome of a sample; "" stands for a good one."""
        newest_ns = self._newest_ns
        if newest_ns is not None and stamp_ns < newest_ns:
            if newest_ns - stamp_ns < WINDOW_S * 1e9:  # late: its time is accounted for
                return
            self._held.clear()  # a bag begins again
            newest_ns = None
        seconds = 0.0 if newest_ns is None else (stamp_ns - newest_ns) * 1e-9
        self._newest_ns = stamp_ns
        self._held.append((stamp_ns, outcome, min(seconds, _LONGEST_S)))
        while stamp_ns - self._held[0][0] > WINDOW_S * 1e9:
            self._held.popleft()

    def clear(self) -> None:
        """Forget everything (time jumped, another camera)."""
        self._newest_ns = None
        self._held.clear()

    def seconds(self, outcome: str) -> float:
        """Seconds of the window in which an outcome held."""
        return sum(seconds for _, name, seconds in list(self._held) if name == outcome)

    def lasting(self, outcomes: tuple[str, ...]) -> str:
        """The outcome that held longest, if all of ``outcomes`` together held for a moment.

        Two kinds of one fault may alternate: noise is now untrackable, now frozen.
        """
        held = {outcome: self.seconds(outcome) for outcome in outcomes}
        if sum(held.values()) < MOMENT_S:
            return ""
        return max(held, key=lambda outcome: held[outcome])
