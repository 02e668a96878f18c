# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Items keep their order, overlap only where asked, and none goes missing."""

from __future__ import annotations

import threading
import time

import pytest

from sfm_depth_ros.ros.frame_line import FrameLine

both = pytest.mark.parametrize("pipelined", [False, True])


@both
def test_items_are_prepared_then_computed_in_their_order(pipelined):
    seen, errors = [], []
    line = FrameLine(lambda item: 10 * item, seen.append, errors.append, pipelined)
    for item in range(20):
        line.submit(item)
        _wait(lambda count=item + 1: len(seen) == count)
    line.close()
    assert seen == [10 * item for item in range(20)]
    assert (line.dropped, errors) == (0, [])


@both
def test_the_next_is_prepared_beside_only_where_pipelined(pipelined):
    prepared, computing, go = [], threading.Event(), threading.Event()

    def compute(item):
        computing.set()
        go.wait(5)

    line = FrameLine(lambda item: prepared.append(item) or item, compute, print, pipelined)
    line.submit("first")
    assert computing.wait(5)
    line.submit("second")
    if pipelined:
        _wait(lambda: prepared == ["first", "second"])
    time.sleep(0.05)
    assert prepared == (["first", "second"] if pipelined else ["first"])
    go.set()
    line.close()


@both
def test_what_fails_on_either_way_is_said_and_the_line_goes_on(pipelined):
    seen, errors = [], []

    def prepare(item):
        if item == "cannot be decoded":
            raise ValueError(item)
        return None if item == "not wanted" else item

    def compute(item):
        if item == "cannot be computed":
            raise ValueError(item)
        seen.append(item)

    line = FrameLine(prepare, compute, lambda error: errors.append(str(error)), pipelined)
    bad = ["cannot be decoded", "cannot be computed"]
    for index, item in enumerate(bad):
        line.submit(item)
        _wait(lambda count=index + 1: len(errors) == count)
    line.submit("not wanted")
    time.sleep(0.05)
    line.submit("good")
    _wait(lambda: seen == ["good"])
    line.close()
    assert errors == bad


@both
def test_nothing_goes_missing_under_load(pipelined):
    seen = []

    def compute(item):
        time.sleep(0.001)
        seen.append(item)

    line = FrameLine(lambda item: item, compute, print, pipelined)
    for item in range(300):
        line.submit(item)
        time.sleep(0.0002)
    line.close()
    assert seen == sorted(seen)
    assert len(seen) + line.dropped == 300
    line.submit("too late")
    assert len(seen) + line.dropped == 301


def _wait(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)
