# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A mailbox of depth one and a thread: the newest item wins, the rest is counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")
_logger = logging.getLogger(__name__)


class LatestWorker(Generic[Item]):
    """Does slow work beside the executor thread, always on the newest item.

    Attributes:
        dropped: Items that a newer one replaced before the work on them began.
        done: Items worked on without an error.
        failed: Items whose work raised.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Item], None],
        on_error: Callable[[Item, Exception], None],
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """Start the thread.

        Args:
            name: Name of the thread.
            work: Called with each item, in the thread.
            on_error: Called with the item and what ``work`` raised, in the thread; the thread
                goes on with the next item.
            prepare: Called once at the start, in the thread (for example, to lower priority).
        """
        self.dropped = self.done = self.failed = 0
        self._work, self._on_error, self._prepare = work, on_error, prepare
        self._item: Item | None = None
        self._closed = False
        self._lock = threading.Lock()
        # Waiting on a SimpleQueue wakes in one step; a Condition takes the interpreter twice.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> bool:
        """Hand over an item; never waits.

        Returns:
            Whether an older, still waiting item was dropped for it, or after ``close`` this one.
        """
        with self._lock:
            if self._closed:
                self.dropped += 1
                return True
            replaced = self._item is not None
            self.dropped += replaced
            self._item = item
        if not replaced:
            self._wake.put(None)
        return replaced

    def close(self, timeout: float = 0.7) -> bool:
        """Stop after the item in work; a waiting one counts as dropped.

        Returns:
            Whether the thread ended within ``timeout`` seconds.
        """
        with self._lock:
            self._closed = True
            self.dropped += self._item is not None
            self._item = None
        self._wake.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _take(self) -> Item | None:
        """Wait for an item; None after ``close``."""
        self._wake.get()
        with self._lock:
            item, self._item = self._item, None
            return item

    def _run(self) -> None:
        if self._prepare is not None:
            self._prepare()
        while (item := self._take()) is not None:
            try:
                self._work(item)
                self.done += 1
            except Exception as error:  # one bad item must not end the thread
                self.failed += 1
                self._report(item, error)

    def _report(self, item: Item, error: Exception) -> None:
        try:
            self._on_error(item, error)
        except Exception:  # nor must its report
            _logger.exception("the report of an error failed")
