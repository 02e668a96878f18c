# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was wrong with the input: counted, logged without flooding, kept for the diagnostics."""

from __future__ import annotations

import logging
import time
from collections import Counter

from sfm_depth_ros.errors import SfmDepthError

REPEAT_S = 5.0
_logger = logging.getLogger(__name__)


class Complaints:
    """Collects errors by where they came from.

    Attributes:
        counts: How many errors each source made.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._newest: dict[str, tuple[float, str]] = {}
        self._logged: dict[str, tuple[float, str]] = {}

    def add(self, source: str, error: Exception) -> None:
        """Take an error; the same text is logged at most every five seconds.

        Args:
            source: Topic or part that it came from.
            error: What was raised; one that is not the input's fault is logged with its trace.
        """
        text = str(error) or type(error).__name__
        now = time.monotonic()
        self.counts[source] += 1
        self._newest[source] = (now, text)
        logged_at, logged_text = self._logged.get(source, (-REPEAT_S, ""))
        if text == logged_text and now - logged_at < REPEAT_S:
            return
        self._logged[source] = (now, text)
        trace = None if isinstance(error, SfmDepthError) else error
        _logger.error("%s: %s", source, text, exc_info=trace)

    def clear(self, source: str) -> None:
        """The source is well again."""
        self._newest.pop(source, None)

    def current(self, max_age_s: float = 3.0) -> str | None:
        """The newest complaint that is not older than ``max_age_s`` seconds."""
        now = time.monotonic()
        fresh = [
            (at, f"{source}: {text}")
            for source, (at, text) in self._newest.items()
            if now - at <= max_age_s
        ]
        return max(fresh)[1] if fresh else None
