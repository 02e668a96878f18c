# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Requests of other threads, done by the worker between two pieces of work."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from sfm_depth_ros.errors import TrainingError

_Result = TypeVar("_Result")


class Requests:
    """Queue of work for one thread; whoever asked gets the result or the error by a future."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[Callable[[], object], Future]] = queue.SimpleQueue()

    def put(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Have the worker do something when its turn comes; cancelled before, it is left out."""
        result: Future[_Result] = Future()
        self._waiting.put((work, result))
        return result

    def do_next(self) -> bool:
        """Do the oldest that waits; called by the worker.

        Returns:
            Whether there was one.
        """
        if self._waiting.empty():
            return False
        work, result = self._waiting.get()
        if result.set_running_or_notify_cancel():
            try:
                result.set_result(work())
            except Exception as error:  # raised again where the result is asked for
                result.set_exception(error)
        return True

    def refuse_all(self, reason: str) -> None:
        """End all that wait with an error; called by a worker that ends."""
        while not self._waiting.empty():
            _, result = self._waiting.get()
            if result.set_running_or_notify_cancel():
                result.set_exception(TrainingError(reason))
