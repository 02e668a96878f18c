# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.ros import complaints
from sfm_depth_ros.ros.complaints import Complaints


def test_repeated_errors_are_counted_and_logged_once(caplog):
    collected = Complaints()
    with caplog.at_level(logging.ERROR):
        for _ in range(20):
            collected.add("image", DataError("encoding 'nv42' is not known"))
        collected.add("image", DataError("wrong step"))
    assert collected.counts["image"] == 21
    texts = [record.getMessage() for record in caplog.records]
    assert texts == ["image: encoding 'nv42' is not known", "image: wrong step"]


def test_only_fresh_complaints_are_current(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(complaints.time, "monotonic", lambda: now[0])
    collected = Complaints()
    collected.add("velocity", DataError("NaN"))
    now[0] += 1
    collected.add("image", DataError("wrong step"))
    assert collected.current() == "image: wrong step"
    collected.clear("image")
    assert collected.current() == "velocity: NaN"
    now[0] += 10
    assert collected.current() is None


def test_a_bug_is_logged_with_its_trace(caplog):
    Complaints().add("image", ZeroDivisionError("division by zero"))
    assert caplog.records[0].exc_info is not None
