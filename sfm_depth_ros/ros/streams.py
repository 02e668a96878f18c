# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Observations of a stream of messages: losses, jumps of time, rate and latency."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from statistics import median, quantiles
from typing import Any

from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node

RESTART_GAP = 10_000
ARRIVALS = 6  # that a stream's period is taken of


def is_overdue(times: Iterable[float], least_s: float) -> bool:
    """Whether a stream is silent: nothing for ``least_s`` seconds, and for two of its periods.

    Args:
        times: Monotonic times of its messages, in order.
        least_s: Shorter pauses are none.
    """
    newest = list(times)[-ARRIVALS:]
    if not newest:
        return True
    period_s = median(b - a for a, b in pairwise(newest)) if len(newest) > 1 else 0.0
    return time.monotonic() - newest[-1] > max(least_s, 2.0 * period_s)


class LossCounter:
    """Counts what a best-effort subscription did not get.

    DDS numbers the messages of each publisher; where the middleware hands the number on, a gap is
    exactly what was lost. Elsewhere the message-lost event is the count. Stamp gaps also show what
    the camera itself left out, so they are another number.
    """

    def __init__(self) -> None:
        self.stamp_gaps = 0  # Images missing by the stamps, measured in the median period
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
                ``publisher_gid``, to distinguish several publishers.
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


REPEAT_S = 5.0  # a stream without order would fill the log
SHOWN_S = 3.0
JUMPS, JUMPS_S = 3, 10.0  # so many in so many seconds are a fault of the clock, not a restart
_logger = logging.getLogger(__name__)


class StampGuard:
    """Watches the stamps of one stream: distinguishes late messages from time that jumped back."""

    def __init__(self, stream: str, tolerance_s: float, on_jump: Callable[[], None]) -> None:
        """Watch a stream.

        Args:
            stream: Name of the stream, for the log.
            tolerance_s: Messages this many seconds late are out of order, not a jump.
            on_jump: Called before the message that jumped is used.
        """
        self.jumps = 0  # How often time went backwards
        self.late = 0  # Messages no younger than one before them, without a jump
        self._stream, self._on_jump = stream, on_jump
        self._tolerance_ns = round(tolerance_s * 1e9)
        self._newest_ns: int | None = None
        self._reported, self._reported_at, self._logged_at = "", 0.0, -math.inf
        self._jumped_at: deque[float] = deque(maxlen=JUMPS)

    def check(self, stamp_ns: int) -> bool:
        """Take the next stamp in nanoseconds; False for a message that came late, or again.

        A stamp of 0 is none: such messages pass.
        """
        newest = self._newest_ns
        is_again = stamp_ns == newest != 0
        if newest is not None and (is_again or newest - self._tolerance_ns <= stamp_ns < newest):
            self.late += 1
            return False
        self._newest_ns = stamp_ns
        if newest is not None and stamp_ns < newest:
            self.jumps += 1
            self._report((newest - stamp_ns) * 1e-9)
            self._on_jump()
        return True

    def remark(self) -> str:
        """Jump of the last seconds, for the diagnostics; empty while time advances."""
        return self._reported if time.monotonic() - self._reported_at <= SHOWN_S else ""

    def fault(self) -> str:
        """Stamps that jump again and again, with the remedy; empty where they do not."""
        first = self._jumped_at[0] if len(self._jumped_at) == JUMPS else -math.inf
        if time.monotonic() - first > JUMPS_S:
            return ""
        return (
            f"stamps of {self._stream} go back again and again ({self.jumps} times so far), and "
            "each time the history is lost: have one driver stamp them by one clock; a second "
            "publisher or a bag in a short loop does the same"
        )

    def _report(self, back_s: float) -> None:
        now = time.monotonic()
        self._reported_at = now
        self._jumped_at.append(now)
        self._reported = (
            f"stamps of {self._stream} went back by {back_s:.3f} s: history cleared, weights kept"
        )
        if now - self._logged_at >= REPEAT_S:
            self._logged_at = now
            _logger.warning("%s", self._reported)

    def forget(self) -> None:
        """Accept any stamp next."""
        self._newest_ns = None


def watch_clock(node: Node, on_jump: Callable[[], None]) -> object:
    """Call ``on_jump`` when the node's clock goes backwards or changes its source.

    Returns:
        A handle; the watch lasts as long as somebody holds it.
    """

    def jumped(jump: TimeJump) -> None:
        seconds = jump.delta.nanoseconds * 1e-9
        _logger.warning("the clock jumped by %.3f s: history cleared", seconds)
        on_jump()

    threshold = JumpThreshold(
        min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
    )
    return node.get_clock().create_jump_callback(threshold, post_callback=jumped)


WINDOW_S = 5.0
ENGINE_STAGES = ("depth", "motion")


class FrameStats:
    """Filled by the worker, read by the diagnostics."""

    def __init__(self) -> None:
        self.published = 0  # Images that results were published for
        self.failed = 0  # Images that no result could be computed for
        self.not_ready = 0  # Images that arrived before the model was loaded
        self.late = 0  # Images no younger than one before them, skipped
        self._timings_ms: deque[Mapping[str, float]] = deque(maxlen=200)
        self._times: deque[float] = deque(maxlen=1000)

    def add_published(self, timings_ms: Mapping[str, float]) -> None:
        """Count a result whose last message has just been published.

        Args:
            timings_ms: Milliseconds of every stage, and ``total`` from the entry of the callback.
        """
        self._timings_ms.append(timings_ms)
        self._times.append(time.monotonic())
        self.published += 1

    @property
    def rate_hz(self) -> float:
        """Results per second over the last five seconds."""
        since = time.monotonic() - WINDOW_S
        return sum(at >= since for at in self._times.copy()) / WINDOW_S

    @property
    def is_flowing(self) -> bool:
        """Whether something was published within the last five seconds, or two periods."""
        return not is_overdue(self._times.copy(), WINDOW_S)

    def engine_ms(self) -> float | None:
        """Median milliseconds that both networks take of one image."""
        sample = [
            sum(row.get(stage, 0.0) for stage in ENGINE_STAGES) for row in self._timings_ms.copy()
        ]
        return median(sample) if sample else None

    def stages_ms(self) -> dict[str, float]:
        """Median milliseconds of every stage of the newest results."""
        rows = list(self._timings_ms)
        stages = [stage for stage in (rows[-1] if rows else ()) if stage != "total"]
        return {stage: median(row.get(stage, 0.0) for row in rows) for stage in stages}

    def latency_ms(self) -> tuple[float | None, float | None]:
        """(p50, p95) from the callback's entry to the return of the last publish."""
        sample = [row["total"] for row in self._timings_ms.copy()]
        if not sample:
            return None, None
        if len(sample) == 1:
            return sample[0], sample[0]
        cuts = quantiles(sample, n=20, method="inclusive")
        return cuts[9], cuts[18]
