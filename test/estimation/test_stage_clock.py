# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Laps follow each other without a gap, whoever measured them."""

from __future__ import annotations

import mmap

import pytest

from sfm_depth_ros.estimation import stage_clock
from sfm_depth_ros.estimation.stage_clock import StageClock, resident_mb


def test_laps_add_up_to_the_total(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.001, 10.004, 10.010])
    monkeypatch.setattr(stage_clock.time, "perf_counter", lambda: next(times))
    clock = StageClock(started_at=10.0)
    clock.lap("receive")
    clock.insert({"depth": 3.0})
    clock.lap("publish")
    assert clock.timings_ms == pytest.approx(
        {"receive": 1.0, "depth": 3.0, "publish": 6.0, "total": 10.0}
    )


def test_memory_is_that_of_this_process() -> None:
    before = resident_mb()
    with mmap.mmap(-1, 80_000_000) as block:  # fresh pages, whatever the allocator has kept
        for place in range(0, len(block), 4096):
            block[place] = 1
        assert resident_mb() - before == pytest.approx(80, abs=15)
