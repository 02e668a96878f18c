# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Remarks and wrong inputs of a drive: named where they hold for many images, once each."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sfm_depth_ros.estimation.drive_notes import DriveNotes
from sfm_depth_ros.visual_odometry.input_fault import InputFault

UNIT = InputFault("speed_unit", "the odometer is in km/h")


def _drive(results: list[tuple[tuple[str, ...], tuple[InputFault, ...]]]) -> DriveNotes:
    notes = DriveNotes()
    for remarks, faults in results:
        notes.add(SimpleNamespace(remarks=remarks, faults=faults))  # type: ignore[arg-type]
    return notes


def test_a_remark_on_half_of_the_images_is_one_line_whatever_its_numbers() -> None:
    results = [((f"the oldest velocity is {n}.5 s too young",), ()) for n in range(6)]
    results += [((), ())] * 4
    assert _drive(results).lines() == ["6 of 10 images: the oldest velocity is 5.5 s too young"]
    assert _drive(results + [((), ())] * 3).lines() == []


def test_a_wrong_input_is_named_from_a_tenth_on_and_comes_first() -> None:
    results = [(("no odometry",), (UNIT,))] * 2 + [(("no odometry",), ())] * 18
    assert _drive(results).lines() == ["the odometer is in km/h", "20 of 20 images: no odometry"]
    assert _drive(results[1:]).lines() == ["19 of 19 images: no odometry"]


def test_a_few_images_say_nothing() -> None:
    assert _drive([(("the first image",), (UNIT,))] * 4).lines() == []


def test_lines_are_logged_with_the_drives_name(caplog: pytest.LogCaptureFixture) -> None:
    _drive([((), (UNIT,))] * 5).log("my_bag")
    assert caplog.messages == ["my_bag: the odometer is in km/h"]
