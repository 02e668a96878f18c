# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches made ahead of time by a thread, so that training does not wait for the disk."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from sfm_depth_ros.snippets.batch import SnippetBatch

_POLL = 0.2  # seconds between looks at whether the loader was closed


class BatchLoader:
    """Keeps a few batches ready.

    The batch of a step depends on the step's number alone, so a resumed run sees what an
    uninterrupted one would have seen.

    Args:
        make_batch: Makes the batch of a step.
        first_step: Number of the first step asked for.
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
