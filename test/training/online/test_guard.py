# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the guard lets through."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from sfm_depth_ros.config.schema import ObjectiveConfig, OnlineTrainingConfig
from sfm_depth_ros.snippets.batch import collate
from sfm_depth_ros.training.frame_errors import FrameErrors
from sfm_depth_ros.training.online.guard import (
    FEWEST,
    Exam,
    Judgement,
    judge,
    lacking,
    rehearsal_errors,
    rendered_scales,
)
from sfm_depth_ros.training.online.paired import relative_changes

PLACES = np.repeat([0, 1], 8)
TRAINING = OnlineTrainingConfig(min_improvement=0.01, max_forgetting=0.1)
BASE = np.full(8, 0.10)


def judgement(landmark=0.2, photometric=0.1, translation=0.1, rehearsal=0.1) -> Judgement:
    one = np.ones(16)
    parts = (one * np.asarray(value) for value in (photometric, translation, landmark))
    return Judgement(FrameErrors(*parts, one, one), np.ones(8) * rehearsal)


def verdict(candidate: Judgement, deployed: Judgement | None = None, base=BASE):
    return judge(candidate, deployed or judgement(), PLACES, base, TRAINING)


@pytest.mark.parametrize(
    ("candidate", "is_accepted", "has_exploded", "reason"),
    [
        (judgement(landmark=0.18), True, False, "-5.0 % (-5.0 to -5.0) on 16 snippets, landmarks"),
        (judgement(landmark=0.198), False, False, "no gain of 1 % beyond chance"),
        (judgement(landmark=0.5), False, True, "far above"),
        (judgement(photometric=math.nan), False, True, "not a number"),
        (judgement(landmark=0.1, rehearsal=0.12), False, False, "forgotten"),
        (judgement(landmark=0.1, rehearsal=0.105), True, False, "instead of"),
        (judgement(landmark=0.1, rehearsal=math.nan), False, False, "waiting"),
        (judgement(landmark=0.21, translation=0.02), False, False, "worse there beyond chance"),
        (judgement(landmark=0.204, translation=0.02), False, False, "does not pay for it"),
        (judgement(landmark=0.2, translation=0.02), True, False, "instead of"),
    ],
)
def test_verdicts(candidate, is_accepted, has_exploded, reason) -> None:
    found = verdict(candidate)
    assert (found.is_accepted, found.has_exploded) == (is_accepted, has_exploded)
    assert reason in found.reason


def test_a_gain_here_hides_no_loss_there() -> None:
    landmark = np.where(PLACES == 0, 0.05, 0.22)
    found = verdict(judgement(landmark=landmark))
    assert not found.is_accepted
    assert "at one of 2 places" in found.reason


def test_forgetting_is_measured_against_the_first_model() -> None:
    crept = judgement(rehearsal=0.105)
    assert not verdict(judgement(landmark=0.1, rehearsal=0.115), crept).is_accepted


def test_anything_finite_replaces_a_model_that_answers_nan() -> None:
    assert verdict(judgement(), judgement(photometric=math.nan)).is_accepted


def test_nothing_is_judged_on_numbers_that_are_none() -> None:
    nan = judgement(photometric=math.nan)
    both = verdict(nan, nan)
    assert (both.is_accepted, both.has_exploded) == (False, False)
    assert both.reason.startswith("waiting")
    better = judgement(landmark=0.1)
    assert not verdict(better, base=np.full(8, math.nan)).is_accepted
    assert not verdict(better, base=np.zeros(0)).is_accepted
    assert verdict(judgement(landmark=0.1, rehearsal=math.nan), base=None).is_accepted


def test_refusals_carry_the_number_that_decided() -> None:
    forgotten = verdict(judgement(landmark=0.1, rehearsal=0.12)).reason
    assert "0.1200 on rendered drives is above 0.1100" in forgotten
    assert "-0.5 % (-0.5 to -0.5)" in verdict(judgement(landmark=0.198)).reason


def test_few_snippets_and_one_place_judge_nothing(drive) -> None:
    few = drive(FEWEST - 1)
    assert lacking(few) == f"waiting for held-out snippets: {FEWEST - 1} of {FEWEST}"
    here = [dataclasses.replace(s, stamps_ns=s.stamps_ns % 1_000_000_000) for s in drive(20)]
    assert lacking(here) == "waiting for held-out snippets of another place: 1 of 2"
    assert lacking(drive(40, spacing_s=0.3)) == ""


def test_scale_errors_show_in_their_own_parts(tiny_networks, drive) -> None:
    networks = tiny_networks().eval()
    exam = Exam.of(drive(6), [], "cpu")
    before = Judgement.of(networks, exam, ObjectiveConfig()).means()
    networks.scale(1.0, 2.0)
    after = Judgement.of(networks, exam, ObjectiveConfig()).means()
    assert after.translation_scale_ratio == pytest.approx(2 * before.translation_scale_ratio)
    assert after.photometric == pytest.approx(before.photometric, rel=1e-4)
    assert after.landmark_abs_rel == pytest.approx(before.landmark_abs_rel, rel=1e-4, nan_ok=True)
    assert math.isnan(after.rehearsal_abs_rel)
    assert after.total == pytest.approx(
        after.photometric + after.translation_deviation + np.nan_to_num(after.landmark_abs_rel)
    )


def test_few_landmarks_have_no_share_and_depth_is_judged_by_its_images(
    tiny_networks, drive
) -> None:
    networks = tiny_networks().eval()
    exam = Exam.of(drive(6), [], "cpu")
    exam = dataclasses.replace(exam, landmarks=[torch.zeros_like(x) for x in exam.landmarks])
    before = Judgement.of(networks, exam, ObjectiveConfig())
    networks.scale(1.02, 1.0)
    after = Judgement.of(networks, exam, ObjectiveConfig())
    for judged in (before, after):
        assert np.isnan(judged.errors.landmark).all()
        assert math.isnan(judged.means().depth_scale_ratio)
        assert math.isfinite(judged.means().total)
        assert judged.errors.is_finite
    photometric = (after.errors.photometric - before.errors.photometric).mean()
    expected = photometric / before.errors.photometric.mean() / 2  # translation has the rest
    changes = relative_changes(after.errors, before.errors)
    assert changes.mean() == pytest.approx(expected, rel=1e-3)
    assert abs(changes.mean()) < 0.05  # of 2 % in scale


def test_rehearsal_error_is_metric_through_the_robots_own_camera_alone(
    tiny_networks, plane_snippets
) -> None:
    networks = tiny_networks().eval()
    rendered = [collate(plane_snippets(2, seed=1, with_truth=True))]
    before, scales = rehearsal_errors(networks, rendered), rendered_scales(networks, rendered)
    own, others = np.array([True, True]), np.array([True, False])
    metric = rehearsal_errors(networks, rendered, in_metres=own)
    mixed = rehearsal_errors(networks, rendered, in_metres=others)
    assert mixed == pytest.approx([metric[0], before[1]])
    networks.scale(1.5, 2.0)
    assert rehearsal_errors(networks, rendered) == pytest.approx(before, rel=1e-3)
    assert rehearsal_errors(networks, rendered, 1.5, own) == pytest.approx(metric, rel=1e-3)
    assert rehearsal_errors(networks, rendered, 1.0, own) != pytest.approx(metric, rel=0.05)
    assert rendered_scales(networks, rendered) == pytest.approx(
        (1.5 * scales[0], 2.0 * scales[1]), rel=1e-3
    )
    assert len(before) == 2
