# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data of a training run: rendered and recorded snippets, drawn in batches ahead of time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.bags.selection import BagSelection, WeightedBag
from sfm_depth_ros.config.schema import OfflineTrainingConfig
from sfm_depth_ros.model_folder.row_profile import RowProfile, RowProfileFit
from sfm_depth_ros.snippets.batch import SnippetBatch, rows_of_part
from sfm_depth_ros.snippets.selection import HoldoutSchedule, Role
from sfm_depth_ros.snippets.store import SnippetStore, StoreShape
from sfm_depth_ros.training.offline.caches import CacheStore
from sfm_depth_ros.training.offline.recorded_snippets import recorded_caches
from sfm_depth_ros.training.offline.rendered_snippets import (
    SNIPPETS_PER_DRIVE,
    RenderedRows,
    rendered_cache,
)
from sfm_depth_ros.training.offline.teacher import read_teacher

NUMBERS_PER_SEED = SNIPPETS_PER_DRIVE * 1_000_000
VALIDATION_NUMBER = SNIPPETS_PER_DRIVE * 10**12  # beyond the numbers of any seed
VALIDATION_PER_DRIVE = 3  # few of each, so that many places are seen
VALIDATION_BATCH = 8
_PROFILED = 200  # snippets of a source, about, that its depth by image row is taken of
_POLL = 0.2  # seconds between looks at whether the loader was closed


@dataclass(frozen=True)
class Source:
    """Snippets of one image size."""

    cache: SnippetStore  # Where they are
    rows: np.ndarray  # Which of its rows
    weight: float = 1.0  # How often one of them is drawn, compared with other sources of its kind

    @classmethod
    def whole(cls, cache: SnippetStore, weight: float = 1.0) -> Source:
        """All snippets of a cache."""
        return cls(cache, cache.rows, weight)


@dataclass(frozen=True)
class TrainingData:
    """Snippets that batches are drawn from, and those that judge the networks."""

    rendered: Sequence[Source]  # Snippets that teach their exact depth and motion, too
    recorded: Sequence[Source]  # Snippets of bags; their truth, if there is any, is never taught
    config: OfflineTrainingConfig  # Batch size, shares, seed
    rendered_validation: Sequence[Source] = ()  # Rendered snippets that training never sees
    # Recorded snippets that training never sees, with their truth
    recorded_validation: Sequence[Source] = ()

    def batch(self, step: int, rank: int = 0, processes: int = 1) -> SnippetBatch:
        """Draw the batch of a step: one source, different rows.

        The batch depends on nothing but seed and step. Several processes get parts of the one
        that a single process with the sum of their batch sizes would get.

        Args:
            step: Number of the step.
            rank: Number of the part.
            processes: Number of parts.
        """
        rng = np.random.default_rng((self.config.seed, step))
        is_recorded = not self.rendered or (
            bool(self.recorded) and rng.random() >= self.config.synthetic_share
        )
        sources = self.recorded if is_recorded else self.rendered
        shares = np.array([len(source.rows) * source.weight for source in sources])
        source = sources[rng.choice(len(sources), p=shares / shares.sum())]
        size = self.config.batch_size
        has_too_few = len(source.rows) < size * processes
        rows = rng.choice(source.rows, size * processes, replace=has_too_few)
        part = rows[rows_of_part((rank, processes), size)]
        return source.cache.batch(part, with_truth=not is_recorded)


def batches_of(sources: Iterable[Source]) -> Iterator[SnippetBatch]:
    """All snippets of some sources, read lazily."""
    for source in sources:
        for start in range(0, len(source.rows), VALIDATION_BATCH):
            yield source.cache.batch(source.rows[start : start + VALIDATION_BATCH])


def profile_of_data(data: TrainingData) -> RowProfile | None:
    """Depth by image row of the snippets learnt from; None where no depth is known.

    Of recordings by their truth, else by what was measured; of rendered drives where there are no
    recordings, or their depth is unknown.
    """
    for sources in (data.recorded, data.rendered):
        fit = RowProfileFit()
        for source in sources:
            every = max(1, len(source.rows) // _PROFILED)
            for row in source.rows[::every]:
                snippet = source.cache.snippet(int(row))
                depth = snippet.measured_depth if snippet.depth is None else snippet.depth
                fit.add(depth, snippet.intrinsics)
        if profile := fit.profile():
            return profile
    return None


def prepare_data(
    bags: Sequence[WeightedBag],
    validation_bags: Sequence[BagSelection],
    rendered: int,
    config: OfflineTrainingConfig,
    store: CacheStore,
    companions: tuple[str, ...] = (),
) -> TrainingData:
    """Decode, render, or find what was decoded and rendered before.

    Args:
        bags: What to learn from.
        validation_bags: What judges; none = blocks of time of ``bags``, by
            ``config.validation_share``.
        rendered: Rendered snippets to learn from, of all heights together.
        config: Sizes, seed, shares.
        store: Where snippets are kept.
        companions: Roles of the extra inputs that recorded snippets shall have.

    Raises:
        DataError: A bag cannot be used, or the disk is full.
    """
    share = 0.0 if validation_bags else config.validation_share
    teacher = read_teacher(config.teacher_model, config.device) if bags else None
    training, validation = [], []
    for bag in bags:
        for cache in recorded_caches(bag.selection, config, store, companions, teacher):
            learnt, held_out = _split(cache, share)
            training.append(Source(cache, learnt, bag.weight))
            validation += [Source(cache, held_out)] if len(held_out) else []
    for selection in validation_bags:
        caches = recorded_caches(selection, config, store, companions)  # a teacher judges nothing
        validation += [Source.whole(cache) for cache in caches]
    if not rendered:
        return TrainingData([], training, config, [], validation)
    judging = list(_rendered_validation(config, store))
    return TrainingData(
        list(_rendered(rendered, config, store)), training, config, judging, validation
    )


def _split(cache: SnippetStore, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and rows held out: blocks of time, with a gap between."""
    rows = cache.rows
    stamps = cache.stamps_ns(rows)
    schedule = HoldoutSchedule(int(stamps[:, 0].min()), share)
    roles = np.array([schedule.role(stamp) for stamp in stamps])
    learnt, held_out = rows[roles == Role.TRAINING], rows[roles == Role.HOLDOUT]
    if not len(learnt):  # a drive of a few seconds: all of it teaches
        return rows, rows[:0]
    return learnt, held_out


def _rendered(count: int, config: OfflineTrainingConfig, store: CacheStore) -> Iterator[Source]:
    """Snippets of the rendered world to learn from, at every height."""
    heights = [int(height) for height in config.synthetic_heights]
    each = max(1, count // len(heights))
    for height in heights:
        first = NUMBERS_PER_SEED * (config.seed * 1000 + height // 32)
        shape = _shape(height, first, config)
        place = RenderedRows(shape, each, first, SNIPPETS_PER_DRIVE)
        yield Source.whole(rendered_cache(place, config.render_processes, store))


def _rendered_validation(config: OfflineTrainingConfig, store: CacheStore) -> Iterator[Source]:
    """Other ones, the same for all seeds."""
    for height in map(int, config.synthetic_heights):
        first = VALIDATION_NUMBER + NUMBERS_PER_SEED * (height // 32)
        shape = _shape(height, first, config)
        place = RenderedRows(shape, config.synthetic_validation, first, VALIDATION_PER_DRIVE)
        yield Source.whole(rendered_cache(place, config.render_processes, store))


def _shape(height: int, first: int, config: OfflineTrainingConfig) -> StoreShape:
    """Shape of rendered snippets, numbered from ``first`` on."""
    size = config.prepared(height), config.prepared_width
    return StoreShape(*size, f"from number {first}")


class BatchLoader:
    """Keeps a few batches ready.

    The batch of a step depends on the step's number alone, so a resumed run sees what an
    uninterrupted one would have seen.

    Args:
        make_batch: Makes the batch of a step.
        first_step: Number of the first step.
        ahead: Batches kept ready.
        pins: Whether they are pinned in memory, from where a GPU copies them while it computes.
    """

    def __init__(
        self,
        make_batch: Callable[[int], SnippetBatch],
        first_step: int = 0,
        ahead: int = 2,
        pins: bool = False,
    ) -> None:
        self._pins = pins
        self.waited = 0.0  # seconds that next() had to wait
        self._queue: queue.Queue[SnippetBatch | Exception] = queue.Queue(ahead)
        self._closed = threading.Event()
        self._thread = threading.Thread(
            target=self._work, args=(make_batch, first_step), name="batch_loader", daemon=True
        )
        self._thread.start()

    def next(self) -> SnippetBatch:
        """Return the batch of the next step; an error of its making is raised here."""
        begin = time.perf_counter()
        item = self._queue.get()
        self.waited += time.perf_counter() - begin
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        """Stop the thread."""
        self._closed.set()
        self._thread.join()

    def __enter__(self) -> BatchLoader:
        """Return the loader itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the thread."""
        self.close()

    def _work(self, make_batch: Callable[[int], SnippetBatch], step: int) -> None:
        while not self._closed.is_set():
            try:
                batch = make_batch(step)
                item: SnippetBatch | Exception = batch.pinned() if self._pins else batch
            except Exception as error:  # handed over to next(), which raises it
                item = error
            self._put(item)
            if isinstance(item, Exception):
                return
            step += 1

    def _put(self, item: SnippetBatch | Exception) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_POLL)
                return
            except queue.Full:
                continue
