# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from sfm_depth_ros.snippets.builder import REASONS
from sfm_depth_ros.snippets.image_gate import IMAGE_REASONS
from sfm_depth_ros.snippets.refusals import REMEDIES, RecentOutcomes, main_refusal
from sfm_depth_ros.snippets.velocity_gate import VELOCITY_REASONS


def test_every_reason_has_a_remedy():
    assert set(REMEDIES) == {*REASONS, *IMAGE_REASONS, *VELOCITY_REASONS}


def test_the_reason_that_was_counted_most_is_named_with_its_own_remedy():
    assert main_refusal(dict.fromkeys(REASONS, 0)) == ""
    assert main_refusal({}) == ""
    text = main_refusal({"standing": 3, "velocity": 40, "camera": 0})
    assert text.startswith("most often velocity: odometry must cover the images")
    assert "must move" not in text


KINDS = ("black", "untrackable")


def _add(recent: RecentOutcomes, begin: float, end: float, outcome: str, rate: float = 10) -> None:
    for index in range(round((end - begin) * rate)):
        recent.add(round((begin + index / rate) * 1e9), outcome)


@pytest.mark.parametrize("rate", [5, 10, 50])
def test_a_second_lasts_at_any_rate_and_a_moment_does_not(rate: float) -> None:
    recent = RecentOutcomes()
    _add(recent, 0.0, 5.0, "", rate)
    _add(recent, 5.0, 5.6, "black", rate)
    assert recent.lasting(KINDS) == ""
    assert recent.seconds("black") == pytest.approx(0.6)
    _add(recent, 5.6, 6.2, "black", rate)
    assert recent.lasting(KINDS) == "black"


def test_what_ended_three_seconds_ago_is_forgotten() -> None:
    recent = RecentOutcomes()
    _add(recent, 0.0, 2.0, "black")
    _add(recent, 2.0, 4.0, "")
    assert recent.lasting(KINDS) == "black"
    _add(recent, 4.0, 5.5, "")
    assert recent.lasting(KINDS) == ""


def test_kinds_of_one_gate_add_up() -> None:
    recent = RecentOutcomes()
    for index in range(30):
        recent.add(round(index * 0.1e9), ("black", "untrackable", "untrackable")[index % 3])
    assert recent.lasting(KINDS) == "untrackable"


def test_one_sample_after_a_silence_is_not_a_moment() -> None:
    recent = RecentOutcomes()
    recent.add(0, "")
    recent.add(int(60e9), "black")
    assert recent.seconds("black") == pytest.approx(0.5)


def test_time_that_starts_over_starts_over_here_too() -> None:
    recent = RecentOutcomes()
    _add(recent, 100.0, 102.0, "black")
    recent.add(0, "")
    assert recent.seconds("black") == 0.0
