# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Items keep their order, overlap only where asked, and none goes missing."""

from __future__ import annotations

import threading
import time

import pytest

from sfm_depth_ros.ros.latest_worker import FrameLine, LatestWorker


def test_the_newest_waiting_item_wins_and_the_rest_is_counted():
    started, go, seen = threading.Event(), threading.Event(), []

    def work(item):
        seen.append(item)
        started.set()
        go.wait(5)

    worker = LatestWorker("test", work, lambda item, error: None)
    assert not worker.submit(1)
    assert started.wait(5)
    assert [worker.submit(item) for item in (2, 3, 4)] == [False, True, True]
    go.set()
    _wait(lambda: worker.done == 2)
    assert seen == [1, 4]
    assert worker.dropped == 2
    assert worker.close()


def test_an_error_is_reported_and_the_thread_goes_on():
    errors = []

    def work(item):
        if item == "bad":
            raise ValueError("no good")

    worker = LatestWorker("test", work, lambda item, error: errors.append((item, str(error))))
    worker.submit("bad")
    _wait(lambda: worker.failed == 1)
    worker.submit("good")
    _wait(lambda: worker.done == 1)
    assert errors == [("bad", "no good")]
    assert worker.close()


def test_a_failing_report_does_not_end_the_thread(caplog):
    def report(item, error):
        raise RuntimeError("the report failed")

    worker = LatestWorker("test", lambda item: 1 / item, report)
    worker.submit(0)
    _wait(lambda: worker.failed == 1)
    worker.submit(1)
    _wait(lambda: worker.done == 1)
    assert worker.close()


def test_close_drops_what_waits_and_says_when_the_work_does_not_end():
    started, go = threading.Event(), threading.Event()

    def work(item):
        started.set()
        go.wait(5)

    worker = LatestWorker("test", work, lambda item, error: None)
    worker.submit(1)
    assert started.wait(5)
    worker.submit(2)
    assert not worker.close(timeout=0.05)
    go.set()
    assert worker.close()
    assert (worker.done, worker.dropped) == (1, 1)


def test_nothing_goes_missing_under_load():
    worker = LatestWorker("test", lambda item: time.sleep(0.0005), lambda item, error: None)
    for number in range(500):
        worker.submit(number)
        if number % 50 == 0:
            time.sleep(0.002)
    worker.close(timeout=5)
    assert worker.done + worker.dropped == 500


def _wait(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


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
def test_a_line_loses_nothing_under_load(pipelined):
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
