# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What became of the images: counts, rate and latency."""

from __future__ import annotations

import time
from collections import deque
from statistics import median, quantiles

WINDOW_S = 5.0


class FrameStats:
    """Filled by the worker, read by the diagnostics.

    Attributes:
        published: Images that results were published for.
        failed: Images that no result could be computed for.
        not_ready: Images that came before the model was loaded.
    """

    def __init__(self) -> None:
        self.published = self.failed = self.not_ready = 0
        self._latencies_ms: deque[float] = deque(maxlen=200)
        self._engine_ms: deque[float] = deque(maxlen=200)
        self._times: deque[float] = deque(maxlen=1000)

    def add_published(self, received_at: float, engine_ms: float) -> None:
        """Count a result whose last message has just been published.

        Args:
            received_at: Monotonic time at which the callback got the image.
            engine_ms: Milliseconds that the networks took of it.
        """
        now = time.monotonic()
        self._latencies_ms.append((now - received_at) * 1e3)
        self._engine_ms.append(engine_ms)
        self._times.append(now)
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
        sample = list(self._engine_ms)
        return median(sample) if sample else None

    def latency_ms(self) -> tuple[float | None, float | None]:
        """(p50, p95) from the callback's entry to the return of the last publish."""
        sample = list(self._latencies_ms)
        if not sample:
            return None, None
        if len(sample) == 1:
            return sample[0], sample[0]
        cuts = quantiles(sample, n=20, method="inclusive")
        return cuts[9], cuts[18]
