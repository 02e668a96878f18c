# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from types import SimpleNamespace

from sfm_depth_ros.ros.message_loss import LossCounter

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
