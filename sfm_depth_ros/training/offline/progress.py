# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a training run says of itself while it runs."""

from __future__ import annotations

import logging
import math
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from sfm_depth_ros.training.network_pair import NetworkPair

_logger = logging.getLogger(__name__)


class RunningTerms:
    """Means of loss terms since they were last taken; a term that was absent (0) is left out."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, terms: dict[str, float]) -> None:
        """Take the terms of one step."""
        for name, value in terms.items():
            if value != 0.0 and math.isfinite(value):
                self._sums[name] = self._sums.get(name, 0.0) + value
                self._counts[name] = self._counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """Return the means and begin anew."""
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means


@dataclass(frozen=True)
class StepReport:
    """One step, as observers see it."""

    step: int  # Steps done
    steps: int  # Steps of the whole schedule
    share_done: float  # Of the schedule, 0 to 1
    seconds: float  # This step took, waiting included
    waited_s: float  # Of that, waiting for data
    refused: int  # Steps refused so far
    learning_rate: float  # The base rate of the next step
    terms: Mapping[str, float]  # The step's loss terms


class Observer(Protocol):
    """Is told how a run goes."""

    def on_step(self, report: StepReport) -> None:
        """A step is done."""

    def on_validation(self, step: int, found: Mapping[str, float], networks: NetworkPair) -> None:
        """The averaged ``networks`` were judged."""

    def close(self) -> None:
        """The run has ended, one way or another."""


class LogLines:
    """Writes a line into the log now and then.

    Args:
        every: Steps between two lines.
    """

    def __init__(self, every: int) -> None:
        self._every, self._terms = every, RunningTerms()
        self._seconds = self._waited = 0.0
        self._steps = 0

    def on_step(self, report: StepReport) -> None:
        """Collect, and write the means of the last steps."""
        self._terms.add(dict(report.terms))
        self._seconds += report.seconds
        self._waited += report.waited_s
        self._steps += 1
        if report.step % self._every:
            return
        said = "  ".join(f"{name} {value:.4f}" for name, value in self._terms.take().items())
        _logger.info(
            "step %d/%d (%.0f %%)  %.0f ms  waited %.1f %%  refused %d  %s",
            report.step,
            report.steps,
            100 * report.share_done,
            1000 * self._seconds / self._steps,
            100 * self._waited / max(self._seconds, 1e-9),
            report.refused,
            said,
        )
        self._seconds = self._waited = 0.0
        self._steps = 0

    def on_validation(self, step: int, found: Mapping[str, float], networks: NetworkPair) -> None:
        """Write the figures."""
        said = "  ".join(f"{name} {value:.4g}" for name, value in found.items())
        _logger.info("validation at step %d: %s", step, said)

    def close(self) -> None:
        """Nothing is open."""


def peak_memory_mib(device: str) -> float:
    """Most memory used so far: of the GPU where training runs there, else of the process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
