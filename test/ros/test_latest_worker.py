# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time

from sfm_depth_ros.ros.latest_worker import LatestWorker


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
