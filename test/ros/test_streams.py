# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from sfm_depth_ros.ros import streams
from sfm_depth_ros.ros.streams import FrameStats, LossCounter, StampGuard, watch_clock

PERIOD_NS = 50_000_000


def _take(counter, numbers, gid=None):
    for number in numbers:
        info = {"publication_sequence_number": number}
        if gid is not None:
            info["publisher_gid"] = {"data": gid}
        counter.take(info, 10**18 + number * PERIOD_NS)


def test_gaps_in_the_publishers_numbers_are_losses():
    counter = LossCounter()
    _take(counter, [7, 8, 10, 14])
    assert counter.lost == 1 + 3


def test_a_restarted_publisher_is_no_loss():
    counter = LossCounter()
    _take(counter, [500, 501, 1, 2, 4])
    assert counter.lost == 1


def test_two_publishers_are_told_apart_where_the_middleware_names_them():
    counter = LossCounter()
    for number in range(1, 6):
        _take(counter, [number], b"a")
        _take(counter, [number * 1000], b"b")
    assert counter.lost == 4 * 999


def test_without_numbers_the_event_counts():
    counter = LossCounter()
    counter.take({"publication_sequence_number": None}, 1)
    counter.on_event(SimpleNamespace(total_count_change=3))
    counter.on_event(SimpleNamespace(total_count_change=2))
    assert counter.lost == 5


def test_images_closer_than_usual_are_no_negative_gap():
    counter = LossCounter()
    for index in [*range(8), 7.2, 7.4, 7.6, 8.6]:
        counter.take({}, round(index * PERIOD_NS))
    assert counter.stamp_gaps == 0


def test_stamp_gaps_are_counted_in_the_median_period_and_jumps_are_not():
    counter = LossCounter()
    for index in [*range(10), 13, 14, 2, 3, 4, 5, 6, 7, 8, 10]:
        counter.take({}, index * PERIOD_NS)
    assert counter.stamp_gaps == 3 + 1
    assert counter.lost == 0


SECOND = 10**9


def test_going_back_resets_and_going_on_does_not():
    jumps = []
    guard = StampGuard("images", 0.0, lambda: jumps.append(1))
    assert all(guard.check(stamp) for stamp in (10, 20, 25, 30, 5, 15))
    assert (guard.jumps, guard.late, len(jumps)) == (1, 0, 1)


def test_what_happened_is_remarked_and_logged_once(caplog):
    guard = StampGuard("images", 0.0, lambda: None)
    assert guard.remark() == ""
    for stamp in (9 * SECOND, 8 * SECOND, 7 * SECOND):
        guard.check(stamp)
    assert guard.remark().startswith("stamps of images went back by 1.000 s")
    assert len(caplog.records) == 1


def test_messages_within_the_tolerance_are_only_out_of_order():
    guard = StampGuard("velocities", 0.5, pytest.fail)
    stamps = (10 * SECOND, int(9.6 * SECOND), int(10.1 * SECOND), int(9.7 * SECOND), 11 * SECOND)
    assert [guard.check(stamp) for stamp in stamps] == [True, False, True, False, True]
    assert guard.late == 2


def test_a_message_that_comes_again_is_late_but_a_stamp_of_zero_is_none():
    guard = StampGuard("images", 0.5, lambda: None)
    assert [guard.check(stamp) for stamp in (5, 5, 6, 6)] == [True, False, True, False]
    assert (guard.late, guard.jumps) == (2, 0)
    unstamped = StampGuard("images", 0.5, lambda: None)
    assert [unstamped.check(0) for _ in range(3)] == [True] * 3


def test_any_stamp_may_come_after_forgetting():
    guard = StampGuard("images", 0.0, pytest.fail)
    guard.check(100)
    guard.forget()
    assert guard.check(1)


def test_a_clock_that_goes_back_is_noticed(ros_node):
    from rclpy.parameter import Parameter
    from rosgraph_msgs.msg import Clock

    node, jumps = ros_node(), []
    handle = watch_clock(node, lambda: jumps.append(1))
    node.set_parameters([Parameter("use_sim_time", value=True)])
    before = len(jumps)
    source = node._time_source
    for seconds in (100, 101, 50):
        message = Clock()
        message.clock.sec = seconds
        source.clock_callback(message)
    assert len(jumps) == before + 1
    assert handle is not None


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(streams.time, "monotonic", lambda: now[0])
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


@pytest.mark.parametrize("period", [0.02, 1.0, 5.0, 60.0])
def test_a_stream_is_overdue_after_two_of_its_periods(monkeypatch, period):
    times = [100.0 + index * period for index in range(20)]
    for late, expected in ((0.0, False), (0.9, False), (1.1, True)):
        now = times[-1] + late * max(3.0, 2 * period)
        monkeypatch.setattr(streams.time, "monotonic", lambda now=now: now)
        assert streams.is_overdue(times, 3.0) == expected
        assert streams.is_overdue(times[-1:], 3.0) == (now - times[-1] > 3.0)
    assert streams.is_overdue([], 3.0)


def test_stamps_that_jump_again_and_again_are_a_fault(clock):
    guard = StampGuard("images", 0.5, lambda: None)
    for index in range(40):
        clock[0] += 0.1
        guard.check(10**18 if index % 10 == 5 else (index + 1) * PERIOD_NS)  # every tenth in 2038
        assert bool(guard.fault()) == (index >= 26)
    assert "stamps of images go back again and again (4 times so far)" in guard.fault()
    clock[0] += 9.0
    assert guard.fault() == ""
