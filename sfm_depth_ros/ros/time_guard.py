# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time that jumps (a bag's loop, a reset simulation) clears what depends on its order."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node

REPEAT_S = 5.0  # a stream without order would fill the log
SHOWN_S = 3.0
_logger = logging.getLogger(__name__)


class StampGuard:
    """Watches the stamps of one stream: late messages are told from time that jumped back."""

    def __init__(self, stream: str, tolerance_s: float, on_jump: Callable[[], None]) -> None:
        """Watch a stream.

        Args:
            stream: Name of the stream, for the log.
            tolerance_s: Messages this many seconds late are out of order, not a jump.
            on_jump: Called before the message that jumped is used.
        """
        self.jumps = 0  # How often time went backwards
        self.late = 0  # Messages older than one before them, without a jump
        self._stream, self._on_jump = stream, on_jump
        self._tolerance_ns = round(tolerance_s * 1e9)
        self._newest_ns: int | None = None
        self._said, self._said_at, self._logged_at = "", 0.0, -math.inf

    def check(self, stamp_ns: int) -> bool:
        """Take the next stamp in nanoseconds; False for a message that came late."""
        newest = self._newest_ns
        if newest is not None and newest - self._tolerance_ns <= stamp_ns < newest:
            self.late += 1
            return False
        self._newest_ns = stamp_ns
        if newest is not None and stamp_ns < newest:
            self.jumps += 1
            self._say((newest - stamp_ns) * 1e-9)
            self._on_jump()
        return True

    def remark(self) -> str:
        """What happened in the last seconds, for the diagnostics; empty while time goes on."""
        return self._said if time.monotonic() - self._said_at <= SHOWN_S else ""

    def _say(self, back_s: float) -> None:
        now = time.monotonic()
        self._said_at = now
        self._said = (
            f"stamps of {self._stream} went back by {back_s:.3f} s: history cleared, weights kept"
        )
        if now - self._logged_at >= REPEAT_S:
            self._logged_at = now
            _logger.warning("%s", self._said)

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
