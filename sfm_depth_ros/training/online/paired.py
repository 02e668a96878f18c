# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Paired comparison of two models on the same snippets, place by place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.training.frame_errors import FrameErrors

# Share of each part in the relative change of the error, and the smallest error that a change is
# relative to: depth counts most, as it is what the robot uses.
PARTS = {"landmark": (0.5, 0.05), "photometric": (0.25, 0.02), "translation": (0.25, 0.05)}
PLACE_GAP_S = 5.0  # between two snippets of different places
PLACE_S = 4.0  # that a place lasts at most
FEWEST_OF_PLACE = 4  # snippets; smaller ones are joined with the one before
CONFIDENCE = 0.9  # of the interval: each side is missed with a probability of 5 %
_RESAMPLES = 1000


@dataclass(frozen=True)
class Change:
    """Relative change of an error from one model to another; negative = better."""

    mean: float
    low: float  # Ends of the interval of the mean
    high: float
    snippets: int

    def __str__(self) -> str:
        """In percent, with the interval."""
        values = (100 * value for value in (self.mean, self.low, self.high))
        return "{:+.1f} % ({:+.1f} to {:+.1f}) on {} snippets".format(*values, self.snippets)

    @property
    def is_better(self) -> bool:
        """Whether it is a gain beyond chance."""
        return self.high < 0

    @property
    def is_worse(self) -> bool:
        """Whether it is a loss beyond chance."""
        return self.low > 0


def relative_changes(
    candidate: FrameErrors, before: FrameErrors, parts: tuple[str, ...] = tuple(PARTS)
) -> np.ndarray:
    """Relative change of every snippet's error, ``(N,)``.

    Parts that are unknown in all snippets have no share; in one snippet they change nothing.

    Args:
        candidate: Errors of one model.
        before: Errors of the other on the same snippets; the change is relative to its means.
        parts: Which parts count, by their shares in ``PARTS``.
    """
    total, changes = 0.0, np.zeros(len(before))
    for name in parts:
        share, smallest = PARTS[name]
        new, old = getattr(candidate, name), getattr(before, name)
        known = np.isfinite(new) & np.isfinite(old)
        if known.any():
            base = max(float(old[known].mean()), smallest)
            changes[known] += share * (new - old)[known] / base
            total += share
    return changes / total if total else changes


def places_of(stamps_ns: np.ndarray) -> np.ndarray:
    """Number of the place of every snippet, ``(N,)``, from 0: stretches of time with gaps between.

    Held-out snippets come in blocks of time, so that a block is a place that the robot drove
    through.

    Args:
        stamps_ns: ``(N,)`` stamps of the targets.
    """
    order = np.argsort(stamps_ns, kind="stable")
    seconds = (stamps_ns[order] - stamps_ns.min(initial=0)) * 1e-9
    place, first, joined = 0, 0, np.zeros(len(order), int)
    for index in range(1, len(order)):
        is_far = seconds[index] - seconds[index - 1] > PLACE_GAP_S
        is_far |= seconds[index] - seconds[first] > PLACE_S
        if is_far and index - first >= FEWEST_OF_PLACE:
            place, first = place + 1, index
        joined[index] = place
    if place and len(order) - first < FEWEST_OF_PLACE:
        joined[first:] = place - 1
    places = np.empty_like(joined)
    places[order] = joined
    return places


def mean_change(changes: np.ndarray, places: np.ndarray, confidence: float = CONFIDENCE) -> Change:
    """Mean over all snippets, with an interval by a two-stage bootstrap.

    Snippets of one place are alike, so places are resampled first and snippets within them after
    (Davison and Hinkley 1997, section 3.8). The resamples are the same in every call.

    Args:
        changes: ``(N,)``, N >= 1.
        places: ``(N,)`` numbers of places.
        confidence: Of the interval.
    """
    rng = np.random.default_rng(0)
    groups = [changes[places == place] for place in np.unique(places)]
    sums, counts = np.zeros(_RESAMPLES), np.zeros(_RESAMPLES)
    for _ in groups:
        chosen = rng.integers(len(groups), size=_RESAMPLES)
        for index, group in enumerate(groups):
            rows = np.flatnonzero(chosen == index)
            drawn = rng.integers(len(group), size=(len(rows), len(group)))
            sums[rows] += group[drawn].sum(axis=1)
            counts[rows] += len(group)
    tail = (1 - confidence) / 2
    low, high = np.quantile(sums / counts, (tail, 1 - tail))
    return Change(float(changes.mean()), float(low), float(high), len(changes))


def change_by_place(changes: np.ndarray, places: np.ndarray) -> dict[int, Change]:
    """Change at every place by itself.

    Of many places one is worse by chance: their intervals hold all together with the confidence
    of a single one (Bonferroni).
    """
    numbers = np.unique(places)
    confidence = 1 - (1 - CONFIDENCE) / max(len(numbers), 1)
    found = {}
    for place in numbers:
        here = changes[places == place]
        found[int(place)] = mean_change(here, np.zeros(len(here)), confidence)
    return found
