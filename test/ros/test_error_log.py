# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.ros import error_log
from sfm_depth_ros.ros.error_log import ErrorLog


def test_repeated_errors_are_counted_and_logged_once(caplog):
    collected = ErrorLog()
    with caplog.at_level(logging.ERROR):
        for _ in range(20):
            collected.add("image", DataError("encoding 'nv42' is not known"))
        collected.add("image", DataError("wrong step"))
    assert collected.counts["image"] == 21
    texts = [record.getMessage() for record in caplog.records]
    assert texts == ["image: encoding 'nv42' is not known", "image: wrong step"]


def test_one_kind_with_changing_numbers_is_one_line(caplog):
    collected = ErrorLog()
    with caplog.at_level(logging.ERROR):
        for index in range(90):
            speed = [float("nan"), index * 0.1, -1e-05 * index]
            collected.add(
                "velocity", DataError(f"velocity is {speed} m/s: expected finite numbers")
            )
    assert len(caplog.records) == 1
    assert collected.counts["velocity"] == 90
    facts = collected.facts()
    assert facts["errors.velocity"] == 90
    expected = "90 x velocity: velocity is [#, #, #] m/s: expected finite numbers"
    assert facts["error_kinds"] == expected


def test_many_kinds_neither_flood_the_log_nor_the_memory(caplog):
    collected = ErrorLog()
    with caplog.at_level(logging.ERROR):
        for index in range(5000):
            name = "".join(chr(97 + int(digit)) for digit in f"{index:05d}")
            collected.add("image", DataError(f"encoding {name} is not known"))
    assert len(caplog.records) == error_log.LINES
    assert len(collected.kinds) == error_log.KINDS + 1
    assert sum(collected.kinds.values()) == collected.counts["image"] == 5000


def test_a_repeated_error_says_how_often(monkeypatch, caplog):
    now = [100.0]
    monkeypatch.setattr(error_log.time, "monotonic", lambda: now[0])
    collected = ErrorLog()
    for _ in range(3):
        collected.add("image", DataError("wrong step 3"))
    now[0] += error_log.REPEAT_S
    collected.add("image", DataError("wrong step 4"))
    texts = [record.getMessage() for record in caplog.records]
    assert texts == ["image: wrong step 3", "image: wrong step 4 (4 times so far)"]


def test_an_error_is_remarked_although_its_source_is_well_again(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(error_log.time, "monotonic", lambda: now[0])
    collected = ErrorLog()
    collected.add("velocity", DataError("NaN"))
    collected.clear("velocity")
    assert (collected.current(), collected.remark()) == (None, "velocity: NaN")
    now[0] += 4
    assert collected.remark() == ""


def test_only_fresh_complaints_are_current(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(error_log.time, "monotonic", lambda: now[0])
    collected = ErrorLog()
    collected.add("velocity", DataError("NaN"))
    now[0] += 1
    collected.add("image", DataError("wrong step"))
    assert collected.current() == "image: wrong step"
    collected.clear("image")
    assert collected.current() == "velocity: NaN"
    now[0] += 10
    assert collected.current() is None


def test_a_bug_is_logged_with_its_trace(caplog):
    ErrorLog().add("image", ZeroDivisionError("division by zero"))
    assert caplog.records[0].exc_info is not None
