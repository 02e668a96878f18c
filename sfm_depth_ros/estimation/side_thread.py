# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A thread that runs concurrently with its caller, on another core where one is free."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

LATE_S = 1e-3  # started later than this: the core is contended
REST = 100  # calls without pinning after a late start

Output = TypeVar("Output")


class SideThread:
    """Runs short work while the caller does long work of its own.

    Linux wakes a thread on the waker's core unless it sees an idle one, and in many virtual
    machines it sees none, for a core that its host has put to sleep counts as taken. Both would
    then share one core while the other sleeps, so this thread is pinned off the caller's core.
    A late start means that the other cores are busy: the kernel chooses for a while.

    Args:
        name: Name of the thread.
        own_core: Whether to keep it off the caller's core. Not for work that starts threads
            itself: they would inherit this.
    """

    def __init__(self, name: str, own_core: bool = True) -> None:
        self._pool = ThreadPoolExecutor(1, name)
        self._id = self._pool.submit(threading.get_native_id).result()
        self._cores = _allowed_cores() if own_core else frozenset()
        self._avoided = -1
        self._rest = 0

    def submit(self, work: Callable[..., Output], *arguments: object) -> Future[Output]:
        """Begin; ``result()`` waits for the output."""
        if len(self._cores) > 1:
            self._avoid(_current_core() if self._rest == 0 else -1)
        return self._pool.submit(self._begin, time.perf_counter(), work, *arguments)

    def close(self) -> None:
        """End the thread, after what it does."""
        self._pool.shutdown()

    def _avoid(self, core: int) -> None:
        """Run on another core than this; -1 = on any."""
        self._rest = max(self._rest - 1, 0)
        if core == self._avoided:
            return
        try:
            os.sched_setaffinity(self._id, self._cores - {core})
        except OSError:  # the cores that we may use were changed from outside: leave it at that
            self._cores = frozenset()
        self._avoided = core

    def _begin(
        self, submitted_at: float, work: Callable[..., Output], *arguments: object
    ) -> Output:
        if self._avoided >= 0 and time.perf_counter() - submitted_at > LATE_S:
            self._rest = REST
        return work(*arguments)


def _allowed_cores() -> frozenset[int]:
    """The cores that this process may use; none where that cannot be read or set."""
    can_choose = hasattr(os, "sched_setaffinity") and hasattr(ctypes.pythonapi, "sched_getcpu")
    return frozenset(os.sched_getaffinity(0)) if can_choose else frozenset()


def _current_core() -> int:
    # By pythonapi, which keeps the interpreter: another thread would take it from a plain CDLL.
    core: int = ctypes.pythonapi.sched_getcpu()
    return core
