# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of the input: counted by kind, logged without flooding, kept for the diagnostics."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque

from sfm_depth_ros.errors import SfmDepthError, kind_of

REPEAT_S = 5.0
SHOWN_S = 3.0
LINES = 5  # of one source in REPEAT_S, however many kinds it makes
KINDS = 100  # distinguished; a message's text (an encoding, a frame) is part of a kind
_logger = logging.getLogger(__name__)


class ErrorLog:
    """Collects errors by where they came from."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # Errors by source
        self.kinds: Counter[str] = Counter()  # Errors by "source: kind"
        self._newest: dict[str, tuple[float, str]] = {}
        self._last: tuple[float, str] | None = None
        self._logged: dict[str, float] = {}
        self._lines: dict[str, deque[float]] = {}

    def add(self, source: str, error: Exception) -> None:
        """Take an error; one kind is logged at most every five seconds.

        Args:
            source: Topic or part that it came from.
            error: What was raised; one that is not the input's fault is logged with its trace.
        """
        text = str(error) or type(error).__name__
        now = time.monotonic()
        kind = f"{source}: {kind_of(text)}"
        if kind not in self.kinds and len(self.kinds) >= KINDS:
            kind = f"{source}: others"
        self.counts[source] += 1
        self.kinds[kind] += 1
        text = text if len(text) < 500 else f"{text[:500]}..."
        self._newest[source], self._last = (now, text), (now, f"{source}: {text}")
        if self._may_log(source, kind, now):
            count = self.kinds[kind]
            times = f" ({count} times so far)" if count > 1 else ""
            trace = None if isinstance(error, SfmDepthError) else error
            _logger.error("%s: %s%s", source, text, times, exc_info=trace)

    def clear(self, source: str) -> None:
        """The source is well again."""
        self._newest.pop(source, None)

    def current(self) -> str | None:
        """The newest error of the last ``SHOWN_S`` seconds whose source is not well again."""
        now = time.monotonic()
        fresh = [
            (at, f"{source}: {text}")
            for source, (at, text) in self._newest.copy().items()
            if now - at <= SHOWN_S
        ]
        return max(fresh)[1] if fresh else None

    def remark(self) -> str:
        """The newest error of the last seconds, also where its source is well again."""
        if self._last is None or time.monotonic() - self._last[0] > SHOWN_S:
            return ""
        return self._last[1]

    def facts(self) -> dict[str, str | int]:
        """Counts by source, and the commonest kinds, for the diagnostics."""
        counts = {f"errors.{source}": count for source, count in self.counts.copy().items()}
        common = self.kinds.copy().most_common(5)
        return {**counts, "error_kinds": "; ".join(f"{count} x {kind}" for kind, count in common)}

    def _may_log(self, source: str, kind: str, now: float) -> bool:
        lines = self._lines.setdefault(source, deque(maxlen=LINES))
        is_flood = len(lines) == LINES and now - lines[0] < REPEAT_S
        if is_flood or now - self._logged.get(kind, -REPEAT_S) < REPEAT_S:
            return False
        self._logged[kind] = now
        lines.append(now)
        return True
