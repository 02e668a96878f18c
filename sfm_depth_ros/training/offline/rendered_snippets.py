# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Snippets of the rendered world by number, and the processes that fill a cache with them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sfm_depth_ros.snippets.store import (
    FORMAT_VERSION,
    SnippetStore,
    StoreShape,
    open_store,
    read_store,
)
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.offline.caches import CacheStore, code_hash
from sfm_depth_ros.training.offline.worker_processes import in_processes
from sfm_depth_ros.world.distribution import random_drive_spec
from sfm_depth_ros.world.drive import CameraSpec, SyntheticDrive

SNIPPETS_PER_DRIVE = 12  # by default; building a place costs as much as rendering ten of them
DRIVE_SECONDS = 40.0
LONGEST_STEP = 3  # frames between target and source, at most
LARGEST_DISPLACEMENT = 2.0  # metres; farther sources share too little with the target
STANDING = 0.05  # metres; less teaches depth but no motion, and is rare
STANDING_SHARE = 0.05
TRIES = 12

_logger = logging.getLogger(__name__)


class SnippetRenderer:
    """Renders snippets of random drives; the same number gives the same pixels.

    Args:
        width: Image width in pixels.
        height: Image height in pixels.
        per_drive: How many successive numbers share a drive.
        camera: The camera of all drives, or None for random ones.
        is_alternating: Whether every second drive is seen through a random camera all the same.
    """

    def __init__(
        self,
        width: int,
        height: int,
        per_drive: int = SNIPPETS_PER_DRIVE,
        camera: CameraSpec | None = None,
        is_alternating: bool = False,
    ) -> None:
        self._size, self._camera = (width, height), camera
        self._is_alternating = is_alternating
        self._per_drive = per_drive
        self._number: int | None = None
        self._drive: SyntheticDrive | None = None

    def __call__(self, number: int) -> Snippet:
        """Render a snippet; neighbours of one drive come cheaper together."""
        drive = self._drive_of(number // self._per_drive)
        index, step = _choose_place(drive, np.random.default_rng((number, 1)))
        return drive.render_snippet(index, step)

    def _drive_of(self, number: int) -> SyntheticDrive:
        if self._drive is None or self._number != number:
            is_own = not (self._is_alternating and number % 2)
            camera = self._camera if is_own else None
            spec = random_drive_spec(
                np.random.default_rng((number, 0)), *self._size, DRIVE_SECONDS, camera
            )
            self._drive, self._number = SyntheticDrive(spec), number
        return self._drive


@dataclass(frozen=True)
class RenderedRows:
    """Rendered snippets of a cache."""

    shape: StoreShape  # Row r gets the snippet of number `first_number` + r
    count: int  # Rows
    first_number: int  # A multiple of `per_drive`
    per_drive: int = SNIPPETS_PER_DRIVE  # How many rows share a drive


def rendered_cache(rows: RenderedRows, processes: int, store: CacheStore) -> SnippetStore:
    """Render snippets, or find them rendered by an earlier run.

    Raises:
        DataError: The disk is full, or a rendering process died.
    """
    content = {
        "format": FORMAT_VERSION,
        "code": code_hash("world"),
        **dataclasses.asdict(rows),
    }
    name = f"rendered_{rows.shape.width}x{rows.shape.height}"

    def fill(folder: Path, make_room: Callable[[], None]) -> None:
        fill_cache(folder, rows, processes, make_room)

    return read_store(store.entry(name, content, fill, is_resumable=True))


def fill_cache(
    folder: Path, rows: RenderedRows, processes: int, make_room: Callable[[], None]
) -> SnippetStore:
    """Render what a cache still lacks; an interrupted filling goes on where it stopped.

    Args:
        folder: The cache's folder.
        rows: What it shall hold.
        processes: How many render at the same time.
        make_room: Called after every drive.

    Raises:
        DataError: The disk is full, or a rendering process died.
    """
    cache = open_store(folder, rows.shape)
    blocks = list(_blocks(cache.missing_rows(rows.count), rows.per_drive))
    if not blocks:
        return cache
    _logger.info(
        "rendering %d of %d snippets of %dx%d with %d processes",
        len(cache.missing_rows(rows.count)),
        rows.count,
        rows.shape.width,
        rows.shape.height,
        processes,
    )
    work = partial(_fill_rows, folder, rows)
    for done, _ in enumerate(in_processes(work, blocks, processes), start=1):
        make_room()
        if done % max(1, len(blocks) // 20) == 0:
            _logger.info("rendered %d of %d drives", done, len(blocks))
    return cache


def _fill_rows(folder: Path, rows: RenderedRows, missing: list[int]) -> None:
    """Run in a process of its own."""
    cache = open_store(folder, rows.shape)
    renderer = SnippetRenderer(rows.shape.width, rows.shape.height, rows.per_drive)
    for row in missing:
        cache.write(row, renderer(rows.first_number + row))


def _blocks(rows: np.ndarray, per_drive: int) -> Iterator[list[int]]:
    """Rows grouped by drive."""
    for drive in np.unique(rows // per_drive):
        yield [int(row) for row in rows[rows // per_drive == drive]]


def _choose_place(drive: SyntheticDrive, rng: np.random.Generator) -> tuple[int, int]:
    """Target frame and distance of the sources: moving, but rarely too little or too much."""
    may_stand = rng.random() < STANDING_SHARE
    index, step = LONGEST_STEP, 1
    for _ in range(TRIES):
        step = int(rng.integers(1, LONGEST_STEP + 1))
        index = int(rng.integers(step, len(drive) - step))
        lengths = _displacements(drive, index, step)
        if max(lengths) <= LARGEST_DISPLACEMENT and (may_stand or min(lengths) >= STANDING):
            break
    return index, step


def _displacements(drive: SyntheticDrive, index: int, step: int) -> tuple[float, float]:
    before, here, after = (
        drive.T_world_base(drive.stamp_ns(i))[:3, 3] for i in (index - step, index, index + step)
    )
    return float(np.linalg.norm(here - before)), float(np.linalg.norm(after - here))
