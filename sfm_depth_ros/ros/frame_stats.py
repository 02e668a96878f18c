# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What became of the images: counts, rate and latency."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from statistics import median, quantiles

WINDOW_S = 5.0
ENGINE_STAGES = ("depth", "motion")


class FrameStats:
    """Filled by the worker, read by the diagnostics.

    Attributes:
        published: Images that results were published for.
        failed: Images that no result could be computed for.
        not_ready: Images that came before the model was loaded.
    """

    def __init__(self) -> None:
        self.published = self.failed = self.not_ready = 0
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
        """Whether something was published within the last five seconds."""
        return bool(self._times) and time.monotonic() - self._times[-1] < WINDOW_S

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
