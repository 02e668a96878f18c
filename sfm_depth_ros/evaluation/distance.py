# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth errors by how far away things are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

DISTANCE_EDGES = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0)


@dataclass
class DistanceErrors:
    """Sums over points within each range of true distance; the last one is open."""

    # Points
    count: np.ndarray = field(default_factory=lambda: np.zeros(len(DISTANCE_EDGES), np.int64))
    # Sum of |prediction - truth| / truth
    relative: np.ndarray = field(default_factory=lambda: np.zeros(len(DISTANCE_EDGES)))
    # Sum of (prediction - truth) / truth
    bias: np.ndarray = field(default_factory=lambda: np.zeros(len(DISTANCE_EDGES)))

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Count ``(N,)`` points in metres."""
        bins = np.searchsorted(DISTANCE_EDGES, truth, side="right") - 1
        off = (prediction - truth) / truth
        size = len(DISTANCE_EDGES)
        self.count += np.bincount(bins, minlength=size)
        self.relative += np.bincount(bins, np.abs(off), size)
        self.bias += np.bincount(bins, off, size)

    def as_dicts(self) -> list[dict[str, float | int | None]]:
        """``{from_m, to_m, abs_rel, bias, points}`` of every range that has points."""
        ends = [*DISTANCE_EDGES[1:], None]
        return [
            {
                "from_m": start,
                "to_m": end,
                "abs_rel": float(self.relative[k] / self.count[k]),
                "bias": float(self.bias[k] / self.count[k]),
                "points": int(self.count[k]),
            }
            for k, (start, end) in enumerate(zip(DISTANCE_EDGES, ends, strict=True))
            if self.count[k]
        ]


def join_distances(parts: Iterable[DistanceErrors]) -> DistanceErrors:
    """The points of several drives as one set."""
    joined = DistanceErrors()
    for part in parts:
        joined.count += part.count
        joined.relative += part.relative
        joined.bias += part.bias
    return joined
