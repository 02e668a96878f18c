# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Selection of snippets: held-out blocks of time, and similarity of two snippets.

Neighbouring frames show the same scene; held out one by one they would measure memory. So whole
blocks of time are held out, with a gap to what is trained on. The role is a function of the
stamp: a drive that is played again falls into the same roles.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.storage import write_whole

BLOCK_S = 2.0
GUARD_S = 0.5
FIRST_BLOCK_S = 3.0  # after the first snippet, so that short drives have one too
SHORTEST_EARLY_S = 8.0  # between two of these; shorter cycles would leave little to train on
THUMBNAIL = (16, 8)  # width, height: coarse enough that pixel shifts do not matter
MOTION_WEIGHT = 0.1  # a fifth more displacement counts like a cosine lower by 0.018
MIN_DISPLACEMENT = 0.01  # metres; below, motion is noise
MAX_COMPARED = 512

Entry = TypeVar("Entry")

_logger = logging.getLogger(__name__)


class Role(Enum):
    """Use of a snippet; the value is part of its file's name."""

    TRAINING = "training"
    HOLDOUT = "holdout"


@dataclass(frozen=True)
class HoldoutSchedule:
    """Blocks of time that come every ``BLOCK_S / share`` seconds, at first twice as often."""

    anchor_ns: int  # Stamp of the first snippet ever
    share: float  # Share of time held out, 0 = none
    early_s: float = 0.0  # Time in which they come twice as often, rounded to whole cycles

    @classmethod
    def read(cls, path: Path, share: float, early_s: float = 0.0) -> HoldoutSchedule | None:
        """Schedule that was written to a file; None where there is none that can be read."""
        try:
            anchor_ns = int(json.loads(path.read_text(encoding="utf-8"))["anchor_ns"])
            return cls(anchor_ns, share, early_s)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            _logger.warning("%s dropped: %s", path, error)
        return None

    def write(self, path: Path) -> None:
        """Keep the anchor, so that a drive falls into the same roles after a restart.

        Raises:
            OSError: The file cannot be written.
        """
        write_whole(path, json.dumps({"anchor_ns": self.anchor_ns}))

    def role(self, stamps_ns: np.ndarray) -> Role | None:
        """Role of a snippet by its ``(3,)`` stamps; None = too near a border, for neither."""
        if self.share <= 0:
            return Role.TRAINING
        begin_s = (int(stamps_ns[0]) - self.anchor_ns) * 1e-9 - FIRST_BLOCK_S
        cycle_s = self._cycle_s(begin_s)
        end_s = begin_s + (int(stamps_ns[-1]) - int(stamps_ns[0])) * 1e-9
        phase_s = begin_s % cycle_s
        end_phase_s = phase_s + (end_s - begin_s)
        if end_phase_s <= BLOCK_S:
            return Role.HOLDOUT
        if phase_s >= BLOCK_S + GUARD_S and end_phase_s <= cycle_s - GUARD_S:
            return Role.TRAINING
        return None

    def _cycle_s(self, begin_s: float) -> float:
        cycle_s = BLOCK_S / self.share
        early_s = cycle_s * round(self.early_s / cycle_s)  # whole cycles: no block is cut
        is_early = 0 <= begin_s < early_s and cycle_s >= 2 * SHORTEST_EARLY_S
        return cycle_s / 2 if is_early else cycle_s


def snippet_feature(snippet: Snippet) -> np.ndarray:
    """Describe a snippet.

    Returns:
        ``(129,)`` float32: the target's grey thumbnail with zero mean and unit norm, and the
        logarithm of the displacement in metres (0 = 1 m where unknown).
    """
    grey = cv2.cvtColor(snippet.target, cv2.COLOR_RGB2GRAY)
    thumbnail = cv2.resize(grey, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
    thumbnail = thumbnail.reshape(-1) - thumbnail.mean()
    thumbnail /= max(float(np.linalg.norm(thumbnail)), 1e-6)
    known = snippet.displacements[np.isfinite(snippet.displacements)]
    length = max(float(known.mean()), MIN_DISPLACEMENT) if known.size else 1.0
    return np.append(thumbnail, np.float32(np.log(length)))


def similarity(features: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Cosine of the thumbnails, less a share of the difference in motion.

    Args:
        features: ``(N, 129)``.
        others: ``(M, 129)``.

    Returns:
        ``(N, M)`` float32, at most 1.
    """
    motion = np.abs(features[:, None, -1] - others[None, :, -1])
    return features[:, :-1] @ others[:, :-1].T - MOTION_WEIGHT * motion


def most_redundant(features: np.ndarray, rng: np.random.Generator) -> int:
    """Index of the entry that the others replace best; the older of the closest pair.

    Args:
        features: ``(N, 129)``, oldest first, N >= 2.
        rng: Picks which entries are compared where there are more than 512.
    """
    count = len(features)
    chosen = np.arange(count)
    if count > MAX_COMPARED:
        chosen = np.sort(rng.choice(count, MAX_COMPARED, replace=False))
    alike = similarity(features[chosen], features)
    alike[np.arange(len(chosen)), chosen] = -np.inf
    # argmax takes the first: of a mutually closest pair, the older one
    return int(chosen[np.argmax(alike.max(axis=1))])


def spread_evenly(entries: Sequence[Entry], count: int) -> list[Entry]:
    """Up to ``count`` entries, spread evenly over all."""
    if count >= len(entries):
        return list(entries)
    places = np.linspace(0, len(entries) - 1, count).round().astype(int)
    return [entries[place] for place in places]
