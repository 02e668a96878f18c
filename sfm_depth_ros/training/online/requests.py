# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Requests of other threads, done by the worker between two pieces of work."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as RequestTimeoutError
from typing import TypeVar

from sfm_depth_ros.errors import TrainingError

REQUEST_S = 60.0  # limit of a request: a validation and a save may lie in between

_Result = TypeVar("_Result")


class Requests:
    """Queue of work for one thread; whoever waits gets the result or the error."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Callable[[], None]] = queue.Queue()

    def wait_for(self, work: Callable[[], _Result]) -> _Result:
        """Have the worker do something, and wait for its result.

        Raises:
            TrainingError: The worker is busy for longer than a minute.
        """
        result: Future[_Result] = Future()

        def run() -> None:
            if not result.set_running_or_notify_cancel():  # nobody waits for it any more
                return
            try:
                result.set_result(work())
            except Exception as error:  # raised again where the result is waited for
                result.set_exception(error)

        self._waiting.put(run)
        try:
            return result.result(REQUEST_S)
        except RequestTimeoutError as error:
            result.cancel()  # what was refused must not happen later
            raise TrainingError("the trainer is busy; try again in a minute") from error

    def do_next(self) -> bool:
        """Do the oldest that waits; called by the worker.

        Returns:
            Whether there was one.
        """
        if self._waiting.empty():
            return False
        self._waiting.get()()
        return True
