# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rehearsal of rendered snippets against forgetting, through the camera that is learnt from."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.snippets.store import SnippetStore, StoreShape, open_store
from sfm_depth_ros.snippets.values import Snippet

POOL, HELD_OUT = 40, 16  # half a second each on a slow core; held-out ones before any training
HELD_OUT_SEED = 1_000_000_000  # of the first held-out snippet; pools stay below
PER_DRIVE = 2  # renderers make this many successive numbers from one drive
BATCH = 8
RENDER_EVERY = 6  # steps between two missing rendered snippets
FEW, SOON = 16, 2  # snippets of the pool, below which the next one comes after so many steps
REFRESH_EVERY = 24  # steps between two that replace old ones

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class World:
    """Source of rehearsal."""

    name: str  # Of what is rendered; snippets under another name are made anew
    render: Callable[[int], Snippet]  # Renders the snippet of a number, with true depth and motion
    # Whether every second drive, from the first on, is seen through the robot's own camera
    has_own_camera: bool = False


class Rehearsal:
    """A small pool of rendered snippets at the camera's image size, and a fixed held-out set.

    Rendering is done one snippet at a time, when the trainer has nothing better to do; what was
    rendered stays on disk for the next start.

    Args:
        folder: Where the snippets are kept.
        size: ``(height, width)`` of the network's image.
        world: What is rendered, at that size.
        seed: First seed of the pool.

    Attributes:
        in_metres: ``(HELD_OUT,)`` whether a held-out snippet is judged in metres: those through
            the robot's own camera, or all where it has none in this world.
    """

    def __init__(self, folder: Path, size: tuple[int, int], world: World, seed: int = 0) -> None:
        self.size = size
        self._render, self._seed = world.render, seed
        rows = np.arange(HELD_OUT)
        self.in_metres = (rows // PER_DRIVE % 2 == 0) | (not world.has_own_camera)
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

    @property
    def render_every(self) -> int:
        """Steps between two missing snippets: a handful of them would be seen again and again."""
        return SOON if len(self._pool.rows) < FEW else RENDER_EVERY

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


class CameraRehearsal:
    """The rehearsal of the camera in use, opened when its first snippet is known.

    Args:
        folder: Where the rendered snippets of all cameras are kept.
        make_world: From the camera of the network's image to its world; None = no rehearsal.
        seed: First seed of a pool.
    """

    def __init__(
        self, folder: Path, make_world: Callable[[Intrinsics], World] | None, seed: int
    ) -> None:
        self._folder, self._make_world, self._seed = folder, make_world, seed
        self._intrinsics: Intrinsics | None = None
        self._opened: Rehearsal | None = None

    def follow(self, intrinsics: Intrinsics) -> None:
        """A snippet of this camera came; autofocus is no new camera."""
        known = self._intrinsics
        if known is None or not intrinsics.is_close(known):
            self._intrinsics, self._opened = intrinsics, None

    @property
    def is_camera_known(self) -> bool:
        """Whether a snippet of the camera came since the start."""
        return self._intrinsics is not None

    @property
    def opened(self) -> Rehearsal | None:
        """The rehearsal; None without one, or before the first snippet."""
        if self._opened is None and self._make_world is not None and self._intrinsics is not None:
            size = self._intrinsics.height, self._intrinsics.width
            world = self._make_world(self._intrinsics)
            self._opened = Rehearsal(self._folder, size, world, self._seed)
        return self._opened

    @property
    def judges_missing(self) -> bool:
        """Whether held-out rendered snippets are missing; they come before the first step."""
        opened = self.opened
        return opened is not None and opened.held_out_missing > 0

    def render_missing(self) -> bool:
        """Render a snippet if one is missing."""
        opened = self.opened
        return opened is not None and opened.prepare()

    def render_beside(self, step: int) -> None:
        """Render a little now and then, so that training is not held up."""
        opened = self.opened
        if opened is None or step % opened.render_every or opened.prepare():
            return
        if step % REFRESH_EVERY == 0:
            opened.refresh()
