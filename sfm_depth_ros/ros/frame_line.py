# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An image's way through the node: prepared, then computed; in one thread or in two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from sfm_depth_ros.ros.latest_worker import LatestWorker

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
