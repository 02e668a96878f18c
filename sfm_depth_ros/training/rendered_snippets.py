# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Snippets of the rendered world by number, and the processes that fill a cache with them."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import torch

from sfm_depth_ros.data.sample import Snippet
from sfm_depth_ros.data.synthetic.distribution import random_drive_spec
from sfm_depth_ros.data.synthetic.drive import CameraSpec, SyntheticDrive
from sfm_depth_ros.training.snippet_cache import CacheShape, SnippetCache, open_cache

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
    """

    def __init__(
        self,
        width: int,
        height: int,
        per_drive: int = SNIPPETS_PER_DRIVE,
        camera: CameraSpec | None = None,
    ) -> None:
        self._size, self._camera = (width, height), camera
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
            spec = random_drive_spec(
                np.random.default_rng((number, 0)), *self._size, DRIVE_SECONDS, self._camera
            )
            self._drive, self._number = SyntheticDrive(spec), number
        return self._drive


def fill_cache(
    folder: Path,
    shape: CacheShape,
    first_number: int,
    processes: int,
    per_drive: int = SNIPPETS_PER_DRIVE,
) -> SnippetCache:
    """Render what a cache still lacks; an interrupted filling goes on where it stopped.

    Args:
        folder: The cache's folder.
        shape: Its shape; row r gets the snippet of number ``first_number`` + r.
        first_number: A multiple of ``per_drive``.
        processes: How many render at the same time.
        per_drive: How many rows share a drive.
    """
    cache = open_cache(folder, shape)
    blocks = list(_blocks(cache.missing_rows(), per_drive))
    if not blocks:
        return cache
    _logger.info("rendering %d of %d snippets of %dx%d with %d processes into %s",
                 len(cache.missing_rows()), shape.count, shape.width, shape.height, processes,
                 folder)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, torch.set_num_threads, (1,)) as pool:
        futures = [pool.submit(_fill_rows, folder, shape, (first_number, per_drive), rows)
                   for rows in blocks]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                if done % max(1, len(blocks) // 20) == 0:
                    _logger.info("rendered %d of %d drives", done, len(blocks))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return cache


def _fill_rows(
    folder: Path, shape: CacheShape, numbering: tuple[int, int], rows: list[int]
) -> None:
    """Run in a process of its own."""
    first_number, per_drive = numbering
    cache = open_cache(folder, shape)
    renderer = SnippetRenderer(shape.width, shape.height, per_drive)
    for row in rows:
        cache.write(row, renderer(first_number + row))


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
        ways = _displacements(drive, index, step)
        if max(ways) <= LARGEST_DISPLACEMENT and (may_stand or min(ways) >= STANDING):
            break
    return index, step


def _displacements(drive: SyntheticDrive, index: int, step: int) -> tuple[float, float]:
    before, here, after = (
        drive.T_world_base(drive.stamp_ns(i))[:3, 3] for i in (index - step, index, index + step)
    )
    return float(np.linalg.norm(here - before)), float(np.linalg.norm(after - here))
