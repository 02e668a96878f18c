# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where offline training gets its batches from: caches of rendered and of recorded snippets."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from sfm_depth_ros.config.schema import OfflineTrainingConfig
from sfm_depth_ros.data.batch import SnippetBatch
from sfm_depth_ros.data.sample import Snippet
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.training.rendered_snippets import SNIPPETS_PER_DRIVE, fill_cache
from sfm_depth_ros.training.snippet_cache import CacheShape, SnippetCache, open_cache

NUMBERS_PER_SEED = SNIPPETS_PER_DRIVE * 1_000_000
VALIDATION_NUMBER = SNIPPETS_PER_DRIVE * 10**12  # beyond the numbers of any seed
VALIDATION_PER_DRIVE = 3  # few of each, so that many places are seen
VALIDATION_BATCH = 8

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """Caches, and how a step's batch is drawn from them.

    Attributes:
        rendered: Snippets with true depth and motion, one cache an image size.
        recorded: Snippets of bags, one cache a bag.
        validation: Rendered snippets that training never sees.
        config: Batch size, shares, seed.
    """

    rendered: Sequence[SnippetCache]
    recorded: Sequence[SnippetCache]
    validation: Sequence[SnippetCache]
    config: OfflineTrainingConfig

    def batch(self, step: int) -> SnippetBatch:
        """Draw the batch of a step: one cache, different rows."""
        rng = np.random.default_rng((self.config.seed, step))
        caches = self.rendered or self.recorded
        if self.rendered and self.recorded and rng.random() >= self.config.synthetic_share:
            caches = self.recorded
        sizes = np.array([len(cache.rows) for cache in caches], float)
        cache = caches[rng.choice(len(caches), p=sizes / sizes.sum())]
        count = min(self.config.batch_size, len(cache.rows))
        return cache.batch(rng.choice(cache.rows, count, replace=False))


class CacheBatches(Sequence[SnippetBatch]):
    """All rows of some caches as batches, read when they are asked for."""

    def __init__(self, caches: Sequence[SnippetCache]) -> None:
        self._places = [
            (cache, cache.rows[start : start + VALIDATION_BATCH])
            for cache in caches
            for start in range(0, len(cache.rows), VALIDATION_BATCH)
        ]

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self._places)

    def __getitem__(self, index: int) -> SnippetBatch:  # type: ignore[override]  # no slices
        """Read one batch."""
        cache, rows = self._places[index]
        return cache.batch(rows)


def rendered_caches(
    folder: Path, count: int, config: OfflineTrainingConfig
) -> tuple[list[SnippetCache], list[SnippetCache]]:
    """Render, or find already rendered, the snippets of every height.

    Args:
        folder: Where the caches lie.
        count: Training snippets of all heights together.
        config: Sizes, seed and processes.

    Returns:
        Training and validation caches.
    """
    training, validation = [], []
    heights = [int(height) for height in config.synthetic_heights]
    for height in heights:
        share, processes = count // len(heights), config.render_processes
        name = f"rendered_{config.width}x{height}"
        number = NUMBERS_PER_SEED * (config.seed * 1000 + height // 32)
        shape = CacheShape(share, height, config.width, f"rendered, from number {number}")
        training.append(fill_cache(folder / f"{name}_{share}", shape, number, processes))
        number = VALIDATION_NUMBER + NUMBERS_PER_SEED * (height // 32)
        shape = CacheShape(config.synthetic_validation, height, config.width, "validation")
        validation.append(
            fill_cache(folder / f"{name}_validation_{shape.count}", shape, number, processes,
                       VALIDATION_PER_DRIVE)
        )
    return training, validation


def recorded_cache(
    folder: Path, content: str, snippets: Iterable[Snippet], most: int
) -> SnippetCache:
    """Keep a bag's snippets, or find them already kept.

    Args:
        folder: The cache's folder.
        content: What the snippets are; another content in the same folder is refused.
        snippets: Snippets of one image size.
        most: At most so many (a bag's number of frames).

    Raises:
        DataError: There is no snippet.
    """
    iterator = iter(snippets)
    first = next(iterator, None)
    if first is None:
        raise DataError(f"{content}: no snippet to train on; the camera must move, and odometry "
                        "must cover the images")
    height, width = first.target.shape[:2]
    cache = open_cache(folder, CacheShape(most, height, width, content))
    if len(cache.rows):
        return cache
    cache.write(0, first)
    for row, snippet in enumerate(islice(iterator, most - 1), start=1):
        cache.write(row, snippet)
    _logger.info("%s: %d snippets of %dx%d", content, len(cache.rows), width, height)
    return cache
