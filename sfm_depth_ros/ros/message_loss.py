# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many messages of a stream were lost on the way: by DDS' own numbers, and by the stamps."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Any

RESTART_GAP = 10_000


class LossCounter:
    """Counts what a best-effort subscription did not get.

    DDS numbers the messages of each publisher; where the middleware hands the number on, a gap is
    exactly what was lost. Elsewhere the message-lost event is the count. Stamp gaps also show what
    the camera itself left out, so they are another number.

    Attributes:
        stamp_gaps: Images missing by the stamps, measured in the median period.
    """

    def __init__(self) -> None:
        self.stamp_gaps = 0
        self._by_number = self._by_event = 0
        self._has_numbers = False
        self._newest: dict[bytes, int] = {}
        self._newest_ns: int | None = None
        self._periods: deque[int] = deque(maxlen=31)

    @property
    def lost(self) -> int:
        """Messages lost in DDS since the first one that came."""
        return self._by_number if self._has_numbers else self._by_event

    def take(self, info: Any, stamp_ns: int) -> None:
        """Take what came with a message.

        Args:
            info: rclpy's message info: ``publication_sequence_number``, and from Kilted on
                ``publisher_gid``, so that several publishers are told apart.
            stamp_ns: The message's stamp.
        """
        number = info.get("publication_sequence_number")
        if number is not None:
            self._take_number(bytes((info.get("publisher_gid") or {}).get("data", b"")), number)
        self._take_stamp(stamp_ns)

    def on_event(self, status: Any) -> None:
        """Take a message-lost event of the middleware."""
        self._by_event += status.total_count_change

    def _take_number(self, publisher: bytes, number: int) -> None:
        self._has_numbers = True
        gap = number - self._newest.get(publisher, number) - 1
        if 0 < gap < RESTART_GAP:  # more, or going backwards, is another publisher
            self._by_number += gap
        self._newest[publisher] = number

    def _take_stamp(self, stamp_ns: int) -> None:
        period = stamp_ns - (stamp_ns if self._newest_ns is None else self._newest_ns)
        self._newest_ns = stamp_ns
        if period <= 0:
            self._periods.clear()
            return
        if len(self._periods) >= 5:
            missing = max(0, round(period / median(self._periods)) - 1)
            self.stamp_gaps += missing if missing < RESTART_GAP else 0
        self._periods.append(period)
