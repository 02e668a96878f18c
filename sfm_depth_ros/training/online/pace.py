# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pace of training: duration of steps, rest that a share of a core demands, what would help."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from sfm_depth_ros.config.schema import OnlineTrainingConfig

BUSY = 0.6  # share of a core that steps get, below which the machine is called busy
SLOW_S = 3.0  # a longer step is called slow
_REMEMBERED = 50  # steps


class Pace:
    """Durations of the newest steps, by the wall clock and by the core that worked on them."""

    def __init__(self) -> None:
        self._steps: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Measure one step, done by this thread."""
        wall, cpu = time.perf_counter(), time.thread_time()
        yield
        self._steps.append((time.perf_counter() - wall, time.thread_time() - cpu))

    @property
    def step_ms(self) -> float:
        """Recent median duration of a step; 0 before the first."""
        return 1000 * float(np.median([wall for wall, _ in self._steps])) if self._steps else 0.0

    @property
    def core_got(self) -> float:
        """Share of a core that this thread got while it worked, recent median; 1 at first."""
        shares = [min(cpu / max(wall, 1e-6), 1.0) for wall, cpu in self._steps]
        return float(np.median(shares)) if shares else 1.0

    def period_s(self, training: OnlineTrainingConfig) -> float:
        """Seconds from one step to the next, with the rest between."""
        if not self._steps:
            return 0.0
        wall, cpu = np.median(list(self._steps), axis=0)
        return float(wall) + rest_s(float(wall), float(cpu), training)

    def advice(self, training: OnlineTrainingConfig) -> str:
        """Advice that makes training faster, or an empty string."""
        if training.device == "cpu" and self.core_got < BUSY:
            return (
                f"the CPU is busy: steps get {self.core_got:.0%} of a core; fewer programs beside "
                "training would help"
            )
        if self.period_s(training) > SLOW_S:
            return (
                "steps are slow: a smaller training.batch_size or input_width, a larger "
                "training.core_share or a GPU would help"
            )
        return ""


def rest_s(wall_s: float, cpu_s: float, training: OnlineTrainingConfig) -> float:
    """Rest after a piece of work, so that training takes its share of a core and no more.

    Args:
        wall_s: Seconds that it took.
        cpu_s: Seconds that its thread computed; on another device than the CPU the wall counts.
        training: Share of a core, threads, device.
    """
    cost_s = cpu_s * training.threads if training.device == "cpu" else wall_s
    return max(0.0, cost_s / training.core_share - wall_s)
