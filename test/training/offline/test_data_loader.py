# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches come in order; errors reach the caller; closing ends the thread."""

from __future__ import annotations

import threading

import pytest

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.training.offline.data import BatchLoader


def test_order_starts_at_the_first_step() -> None:
    with BatchLoader(lambda step: step, first_step=7) as loader:
        assert [loader.next() for _ in range(5)] == [7, 8, 9, 10, 11]
        assert loader.waited >= 0


def test_error_is_raised_where_the_batch_is_asked_for() -> None:
    def make(step: int) -> int:
        if step == 2:
            raise DataError("row is damaged")
        return step

    with BatchLoader(make) as loader:
        assert [loader.next(), loader.next()] == [0, 1]
        with pytest.raises(DataError, match="damaged"):
            loader.next()


def test_close_ends_the_thread() -> None:
    before = threading.active_count()
    loader = BatchLoader(lambda step: step)
    assert loader.next() == 0
    loader.close()
    assert threading.active_count() == before
