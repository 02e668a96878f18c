# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from sfm_depth_ros.ros.time_guard import StampGuard, watch_clock

SECOND = 10**9


def test_going_back_resets_and_going_on_does_not():
    jumps = []
    guard = StampGuard("images", 0.0, lambda: jumps.append(1))
    assert all(guard.check(stamp) for stamp in (10, 20, 20, 30, 5, 15))
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
    stamps = (10 * SECOND, int(9.6 * SECOND), 10 * SECOND, int(9.7 * SECOND), 11 * SECOND)
    assert [guard.check(stamp) for stamp in stamps] == [True, False, True, False, True]
    assert guard.late == 2


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
