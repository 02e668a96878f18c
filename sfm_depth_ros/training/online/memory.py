# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rehearsal of rendered snippets against forgetting, and the mixture that a batch is made of."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfm_depth_ros.config.schema import OnlineTrainingConfig
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.snippets.store import SnippetStore, StoreShape, open_store
from sfm_depth_ros.snippets.values import Snippet

POOL, HELD_OUT = 40, 8  # a second or so each on a slow core; held-out ones before any training
HELD_OUT_SEED = 1_000_000_000  # of the first held-out snippet; pools stay below
PER_DRIVE = 3  # renderers make this many successive numbers from one drive
BATCH = 8
PRESENT = 4  # times as many of the newest snippets count as the present as a batch has of them

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class World:
    """Source of rehearsal."""

    name: str  # Of what is rendered; snippets under another name are made anew
    render: Callable[[int], Snippet]  # Renders the snippet of a number, with true depth and motion


class Rehearsal:
    """A small pool of rendered snippets at the camera's image size, and a fixed held-out set.

    Rendering is done one snippet at a time, when the trainer has nothing better to do; what was
    rendered stays on disk for the next start.

    Args:
        folder: Where the snippets are kept.
        size: ``(height, width)`` of the network's image.
        world: What is rendered, at that size.
        seed: First seed of the pool.
    """

    def __init__(self, folder: Path, size: tuple[int, int], world: World, seed: int = 0) -> None:
        self.size = size
        self._render, self._seed = world.render, seed
        height, width = size
        place = folder / f"{width}x{height}"
        pool = StoreShape(height, width, f"pool of {world.name}")
        held_out = StoreShape(height, width, f"held out of {world.name}")
        self._pool = _own_store(place / "pool", pool)
        self._held_out = _own_store(place / "held_out", held_out)
        self._refreshed = 0

    @property
    def is_complete(self) -> bool:
        """Whether pool and held-out set are full."""
        return not any(map(len, self._missing()))

    @property
    def held_out_missing(self) -> int:
        """Number of held-out snippets that are not rendered yet."""
        return len(self._held_out.missing_rows(HELD_OUT))

    def prepare(self) -> bool:
        """Render one missing snippet, of the held-out ones first: without them nothing is judged.

        Returns:
            Whether one was missing.
        """
        held_out, pool = self._missing()
        if len(held_out):
            row = int(held_out[0])
            self._held_out.write(row, self._render(HELD_OUT_SEED + row))
            return True
        if len(pool):
            self._write_pool(int(pool[0]))
            return True
        return False

    def refresh(self) -> None:
        """Replace the oldest snippet of the pool by a new one."""
        self._write_pool(self._refreshed % POOL)
        self._refreshed += 1

    def sample(self, count: int, rng: np.random.Generator) -> list[Snippet]:
        """Draw up to ``count`` different snippets of the pool."""
        rows = rng.permutation(self._pool.rows)[:count]
        return [self._pool.snippet(int(row)) for row in rows]

    def held_out(self) -> list[SnippetBatch]:
        """The whole held-out set, or nothing before it is complete: only equal sets compare."""
        if self.held_out_missing:
            return []
        return [
            self._held_out.batch(range(start, start + BATCH))
            for start in range(0, HELD_OUT, BATCH)
        ]

    def _missing(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers that are not rendered yet: held-out ones, and those of the pool."""
        return self._held_out.missing_rows(HELD_OUT), self._pool.missing_rows(POOL)

    def _write_pool(self, row: int) -> None:
        generation = self._refreshed // POOL + 1 if row in self._pool.rows else 0
        seed = (self._seed * 1_000_003 + row + POOL * generation) % HELD_OUT_SEED
        self._pool.write(row, self._render(seed))


def _own_store(folder: Path, shape: StoreShape) -> SnippetStore:
    """Open a folder that nobody else uses; one of other snippets is made anew."""
    try:
        return open_store(folder, shape)
    except DataError as error:
        _logger.warning("rendered snippets are made anew: %s", error)
        shutil.rmtree(folder, ignore_errors=True)
        return open_store(folder, shape)


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
