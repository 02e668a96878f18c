# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mailbox of depth one with a thread: the newest item wins, the rest is counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")
_logger = logging.getLogger(__name__)


class LatestWorker(Generic[Item]):
    """Does slow work outside of the executor's thread, always on the newest item."""

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
        self.dropped = 0  # Items that a newer one replaced before the work on them began
        self.done = 0  # Items worked on without an error
        self.failed = 0  # Items whose work raised
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


Received = TypeVar("Received")
Prepared = TypeVar("Prepared")


class FrameLine(Generic[Received, Prepared]):
    """Prepares and computes the newest item; older ones that still wait are dropped.

    Pipelined, the next item is prepared while this one is computed: more items a second, at the
    price of one more hand-over between threads for each. Items never overtake each other.
    """

    def __init__(
        self,
        prepare: Callable[[Received], Prepared | None],
        compute: Callable[[Prepared], None],
        on_error: Callable[[Exception], None],
        pipelined: bool = False,
    ) -> None:
        """Start the threads.

        Args:
            prepare: Makes of an item what ``compute`` takes; None = nothing to compute.
            compute: Does the work.
            on_error: Called with what either of them raised; the line goes on.
            pipelined: Whether they run in threads of their own.
        """
        self._prepare, self._compute = prepare, compute
        self._computing: LatestWorker[Prepared] | None = None
        if pipelined:
            self._computing = LatestWorker("depth", compute, lambda _, error: on_error(error))
        self._receiving: LatestWorker[Received] = LatestWorker(
            "prepare" if pipelined else "depth", self._work, lambda _, error: on_error(error)
        )

    @property
    def dropped(self) -> int:
        """Items that a newer one replaced, or that waited when the line was closed."""
        return self._receiving.dropped + (self._computing.dropped if self._computing else 0)

    def submit(self, item: Received) -> None:
        """Hand over an item; never waits."""
        self._receiving.submit(item)

    def close(self) -> None:
        """Stop after the item in work."""
        self._receiving.close()
        if self._computing is not None:
            self._computing.close()

    def _work(self, item: Received) -> None:
        prepared = self._prepare(item)
        if prepared is None:
            return
        if self._computing is None:
            self._compute(prepared)
        else:
            self._computing.submit(prepared)
