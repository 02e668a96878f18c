# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mixture that a batch is made of: the present, the past, and the rendered world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.config.schema import OnlineTrainingConfig
from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.online.rehearsal import Rehearsal

PRESENT = 4  # times as many of the newest snippets count as the present as a batch has of them


@dataclass(frozen=True)
class Draw:
    """The snippets of one batch."""

    live: list[Snippet]  # The camera's own, present and past
    rendered: list[Snippet]  # Those of the rendered world, with true depth and motion


def draw_snippets(
    buffer: ReplayBuffer,
    rehearsal: Rehearsal | None,
    config: OnlineTrainingConfig,
    rng: np.random.Generator,
    size: tuple[int, int],
) -> Draw:
    """Draw the snippets of one batch; where a source is empty, the others fill up.

    Args:
        buffer: The camera's snippets, newest and past.
        rehearsal: Rendered snippets, or None.
        config: Batch size and shares.
        rng: Source of randomness.
        size: ``(height, width)``; snippets of another size (another camera) are left out.

    Returns:
        Up to ``config.batch_size`` snippets of that size, at least one of them live if there is
        any.
    """
    count = config.batch_size
    wanted = min(round_randomly(count * config.synthetic_share, rng), count - 1)
    rendered = rehearsal.sample(wanted, rng) if rehearsal is not None else []
    present = max(1, round_randomly(count * config.present_share, rng))
    newest = _of_size(buffer.newest(PRESENT * present), size)
    chosen = [newest[i] for i in rng.permutation(len(newest))[:present]]
    missing = count - len(rendered) - len(chosen)
    past = _of_size(buffer.sample(missing, rng), size) if missing > 0 else []
    live = [*chosen, *past][:count]
    return Draw(live, rendered[: count - len(live)])


def round_randomly(value: float, rng: np.random.Generator) -> int:
    """Round up or down so that the mean over many calls is ``value``."""
    return int(np.floor(value + rng.random()))


def _of_size(snippets: Sequence[Snippet], size: tuple[int, int]) -> list[Snippet]:
    return [snippet for snippet in snippets if snippet.target.shape[:2] == size]
