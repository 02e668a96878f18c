# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fills a snippet cache with rendered drives, in several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from sfm_depth_ros.data.synthetic.sampling import random_snippets
from sfm_depth_ros.training.snippet_cache import CacheShape, SnippetCache, open_cache

PLACES, PER_PLACE = 3, 3  # of one drive: rows share a scene, and neighbours share images
PER_DRIVE = PLACES * PER_PLACE


@dataclass(frozen=True)
class _Task:
    folder: Path
    shape: CacheShape
    drive: int
    seed: int


def fill_rendered_cache(
    folder: Path, shape: CacheShape, seed: int, processes: int
) -> Iterator[SnippetCache]:
    """Render what the cache lacks; interrupted, it goes on where it was.

    Args:
        folder: The cache's folder.
        shape: Its shape; ``count`` is a multiple of ``PER_DRIVE``.
        seed: Seed of the first drive; the others follow.
        processes: Number of rendering processes.

    Yields:
        The cache, after every rendered drive.
    """
    if shape.count % PER_DRIVE:
        raise ValueError(f"expected a multiple of {PER_DRIVE} rows, got {shape.count}")
    cache = open_cache(folder, shape)
    drives = sorted({int(row) // PER_DRIVE for row in cache.missing_rows()})
    tasks = [_Task(folder, shape, drive, seed + drive) for drive in drives]
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for _ in pool.imap_unordered(_render, tasks, chunksize=4):
            yield cache


def _render(task: _Task) -> None:
    cache = open_cache(task.folder, task.shape)
    size = (task.shape.height, task.shape.width)
    for offset, snippet in enumerate(random_snippets(task.seed, size, PLACES, PER_PLACE)):
        cache.write(task.drive * PER_DRIVE + offset, snippet)
