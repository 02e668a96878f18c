# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Continued stamps of a recording whose clock was set back."""

from __future__ import annotations

from bisect import bisect_right

# Stamps of one topic fall by more than this when a clock is set back, late ones by less.
SET_BACK_S = 1.0
PAUSE_S = 10.0  # put between two stretches


class StampClock:
    """Clock of the recorded stamps, continued where it was set back in mid-recording.

    A stretch of the recording begins where the stamps of a topic fall by more than ``SET_BACK_S``.
    Its stamps are moved behind all earlier ones, with a pause that no image pair and no
    interpolation spans; so the stretches do not mix when they are sorted by stamp.
    """

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._begins: list[int] = []  # bag time of the stretches but the first
        self._leads: list[int] = [0]  # stamp minus bag time where each stretch begins
        self._shifts: list[int] = [0]

    @property
    def stretches(self) -> int:
        """Number of stretches."""
        return len(self._shifts)

    def watch(self, topic: str, time_ns: int, stamp_ns: int) -> None:
        """Take the next message of a topic, in bag order."""
        lead, last = stamp_ns - time_ns, self._newest.get(topic)
        if last is None and len(self._newest) == 0:
            self._leads[0] = lead
        elif last is not None and last - stamp_ns > SET_BACK_S * 1e9:
            # other topics notice the same jump a little later
            if abs(lead - self._leads[-1]) > SET_BACK_S / 2 * 1e9:
                self._begins.append(time_ns)
                self._leads.append(lead)
                newest = max(self._newest.values()) + self._shifts[-1]
                self._shifts.append(newest - stamp_ns + round(PAUSE_S * 1e9))
            self._newest.clear()
        self._newest[topic] = stamp_ns

    def continued(self, time_ns: int, stamp_ns: int) -> int:
        """The stamp on the continued clock."""
        stretch = bisect_right(self._begins, time_ns)
        lead = stamp_ns - time_ns
        # a message in transit when the clock was set still has the old stamp
        if stretch and abs(lead - self._leads[stretch - 1]) < abs(lead - self._leads[stretch]):
            stretch -= 1
        return stamp_ns + self._shifts[stretch]
