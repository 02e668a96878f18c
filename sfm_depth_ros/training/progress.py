# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a training run says of itself while it runs."""

from __future__ import annotations

import math
import resource

import torch


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


def peak_memory_mib(device: str) -> float:
    """Most memory used so far: of the GPU where training runs there, else of the process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
