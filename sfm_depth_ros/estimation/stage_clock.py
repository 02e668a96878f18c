# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cost of a frame: the time of its stages, and the memory of the process."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from pathlib import Path

_STATM = Path("/proc/self/statm")


class StageClock:
    """A stop watch with named laps.

    Args:
        started_at: ``time.perf_counter`` at which the first lap began; None = now.
    """

    def __init__(self, started_at: float | None = None) -> None:
        self._start = self._last = time.perf_counter() if started_at is None else started_at
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """End the stage that ran until now."""
        now = time.perf_counter()
        self._laps[name] = 1e3 * (now - self._last)
        self._last = now

    def insert(self, laps: Mapping[str, float]) -> None:
        """Take stages that another clock measured until now, in milliseconds."""
        self._laps |= laps
        self._last = time.perf_counter()

    @property
    def timings_ms(self) -> dict[str, float]:
        """Milliseconds of every lap, and ``total`` from the start to the last lap."""
        return {**self._laps, "total": 1e3 * (self._last - self._start)}


def resident_mb() -> float:
    """Resident set of this process in MB (10^6 bytes); its peak where there is no /proc."""
    if _STATM.exists():
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() * 1e-6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1e-6  # bytes on macOS
