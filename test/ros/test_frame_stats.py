# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from sfm_depth_ros.ros import frame_stats
from sfm_depth_ros.ros.frame_stats import FrameStats


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(frame_stats.time, "monotonic", lambda: now[0])
    return now


def test_latency_counts_from_the_callback_to_the_last_publish(clock):
    stats = FrameStats()
    assert stats.latency_ms() == (None, None)
    assert stats.stages_ms() == {}
    for milliseconds in range(1, 101):
        stats.add_published({"depth": 3.0, "motion": 2.0, "total": float(milliseconds)})
    p50, p95 = stats.latency_ms()
    assert (p50, p95) == (pytest.approx(50.5), pytest.approx(95.05))
    assert stats.engine_ms() == 5.0
    assert stats.stages_ms() == {"depth": 3.0, "motion": 2.0}


def test_the_rate_is_that_of_the_last_five_seconds(clock):
    stats = FrameStats()
    assert not stats.is_flowing
    for _ in range(100):
        clock[0] += 0.1
        stats.add_published({"depth": 5.0, "total": 7.0})
    assert stats.rate_hz == pytest.approx(10, abs=0.3)
    assert stats.is_flowing
    clock[0] += 6
    assert (stats.rate_hz, stats.is_flowing, stats.published) == (0, False, 100)
