# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measured metres: a small factor by its evidence, a large one by a witness only."""

from __future__ import annotations

import math

import pytest

from sfm_depth_ros.training.online.metres import MetreTrust, Stretch
from sfm_depth_ros.training.scale_calibration import ScaleMeasurement


def stretch(
    depth: float,
    translation: float = 1.0,
    begin: float = 0.0,
    floor: float = math.nan,
    **parts: float,
) -> Stretch:
    """Ten seconds of driving, ``begin`` seconds after the start."""
    found = ScaleMeasurement(depth, 1.0 / translation, 0.1, 0.1, **parts)
    return Stretch(found, 150, int(begin * 1e9), int((begin + 10) * 1e9), floor)


@pytest.mark.parametrize("factor", [1.21, 1 / 1.21])
def test_a_small_factor_is_believed_by_its_evidence(factor: float) -> None:
    decision = MetreTrust().decide(stretch(factor, factor))
    assert decision.doubt == ""
    assert decision.depth == decision.translation == pytest.approx(math.sqrt(factor))


def test_scattered_snippets_are_less_evidence() -> None:
    spread = math.log(1.15)  # halves the certainty: 75 of 225
    decision = MetreTrust().decide(stretch(1.21, triangulated=12, spread=spread))
    assert decision.depth == pytest.approx(1.21 ** (1 / 3))


def test_slip_is_not_applied_and_named() -> None:
    trust = MetreTrust()
    decision = trust.decide(stretch(2.119, 2.0))
    assert (decision.depth, decision.translation) == (1.0, 1.0)
    assert "depth x 2.119" in decision.doubt
    assert "slip" in decision.doubt
    assert trust.pending is not None
    assert trust.decide(stretch(1.02, begin=20)).doubt == ""
    assert trust.pending is None


def test_kilometres_per_hour_are_named_and_no_stretch_is_their_witness() -> None:
    trust = MetreTrust()
    for begin in (0, 60, 120):
        decision = trust.decide(stretch(3.81, 3.6, begin))
        assert (decision.depth, decision.translation) == (1.0, 1.0)
        assert "km/h" in decision.doubt


@pytest.mark.parametrize(("begin", "is_believed"), [(20, False), (39, False), (41, True)])
def test_a_later_separate_stretch_is_a_witness(begin: float, is_believed: bool) -> None:
    trust = MetreTrust()
    trust.decide(stretch(1.6, 1.5))
    decision = trust.decide(stretch(1.65, 1.5, begin))
    assert (decision.doubt == "") == is_believed
    assert decision.depth == pytest.approx(math.sqrt(1.65) if is_believed else 1.0)


def seen(depth: float, translation: float, begin: float = 0.0) -> Stretch:
    return stretch(depth, translation, begin, triangulated=12)


def test_a_calibrated_camera_may_be_wrong_in_a_place() -> None:
    trust = MetreTrust()  # factors of the shipped model on kitti_odometry_03
    trust.decide(seen(1.10, 1.69))
    for factors in ((1.29, 1.42), (1.38, 0.49), (1.26, 1.41), (1.60, 1.38), (1.92, 1.85)):
        decision = trust.decide(seen(*factors), is_first=False)
        assert (decision.depth, decision.translation, decision.doubt) == (1.0, 1.0, "")


def test_slip_of_a_calibrated_camera_moves_both_factors() -> None:
    trust = MetreTrust()
    trust.decide(seen(1.10, 1.69))
    trust.decide(seen(1.29, 1.42), is_first=False)
    decision = trust.decide(seen(2.2, 2.9), is_first=False)
    assert "not believed" in decision.doubt
    assert trust.decide(seen(0.3, 0.4), is_first=False).doubt
    assert trust.decide(seen(1.2, 1.5), is_first=False).doubt == ""


def test_what_was_applied_is_no_longer_usual() -> None:
    trust = MetreTrust()
    trust.decide(seen(1.0, 1.0))
    trust.note_applied(0.5, 0.5)
    assert trust.decide(seen(2.0, 2.0), is_first=False).doubt == ""
    assert trust.decide(seen(1.0, 1.0), is_first=False).doubt


def test_a_stretch_that_disagrees_is_no_witness() -> None:
    trust = MetreTrust()
    trust.decide(stretch(1.4))
    assert trust.decide(stretch(1.9, begin=60)).doubt


def test_the_height_of_the_camera_is_a_witness_for_and_against() -> None:
    assert MetreTrust().decide(stretch(3.0, 2.9, floor=2.9)).depth == pytest.approx(3.0)
    trust = MetreTrust()
    trust.decide(stretch(1.6, floor=1.02))
    decision = trust.decide(stretch(1.6, begin=60, floor=1.02))
    assert decision.depth == 1.0
    assert "height demands depth x 1.020" in decision.doubt


def test_a_person_is_a_witness_once() -> None:
    trust = MetreTrust()
    assert trust.accept() is None
    trust.decide(stretch(3.81, 3.6))
    accepted = trust.accept()
    assert accepted is not None
    assert (accepted.depth, accepted.translation) == pytest.approx((3.81, 3.6))
    assert trust.accept() is None


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"is_at_limit": True}, "ended at its limit"),
        ({"triangulated": 12, "spread": math.log(1.5)}, "contradict each other"),
    ],
)
def test_a_useless_measurement_is_never_applied(parts: dict[str, float], words: str) -> None:
    trust = MetreTrust()
    decision = trust.decide(stretch(1.2, 1.2, **parts))
    assert (decision.depth, decision.translation) == (1.0, 1.0)
    assert words in decision.doubt
    assert trust.accept() is None
    assert "cannot be measured" in trust.decide(stretch(math.nan)).doubt


def test_the_pose_network_alone_is_left_to_training() -> None:
    decision = MetreTrust().decide(stretch(1.0, 0.54))
    assert (decision.depth, decision.translation, decision.doubt) == (1.0, 1.0, "")
    assert "translation x 0.540" in decision.remark
