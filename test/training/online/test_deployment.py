# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models that the guard accepts and refuses."""

from __future__ import annotations

import dataclasses
import math

import pytest

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.snippets.batch import collate
from sfm_depth_ros.training.online.deployment import HeldOutError, held_out_error, judge

DEPLOYED = HeldOutError(
    photometric=0.10,
    translation_deviation=0.05,
    depth_deviation=0.05,
    translation_scale_ratio=1.05,
    depth_scale_ratio=0.95,
    rehearsal_abs_rel=0.10,
)


def changed(**parts: float) -> HeldOutError:
    return dataclasses.replace(DEPLOYED, **parts)


def verdict(candidate: HeldOutError, deployed: HeldOutError = DEPLOYED, base: float | None = 0.1):
    return judge(candidate, deployed, base, min_improvement=0.01, max_forgetting=0.1)


def test_total_is_the_sum_of_its_parts() -> None:
    assert DEPLOYED.total == pytest.approx(0.20)
    assert DEPLOYED.as_floats()["total"] == pytest.approx(0.20)


@pytest.mark.parametrize(
    ("candidate", "is_accepted", "has_exploded", "reason"),
    [
        (changed(photometric=0.097), True, False, "instead of"),
        (changed(photometric=0.099), False, False, "does not improve on"),
        (changed(photometric=0.25), False, True, "far above"),
        (changed(photometric=math.nan), False, True, "far above"),
        (changed(photometric=0.05, rehearsal_abs_rel=0.12), False, False, "forgotten"),
        (changed(photometric=0.05, rehearsal_abs_rel=0.105), True, False, "instead of"),
        (changed(photometric=0.05, rehearsal_abs_rel=math.nan), False, False, "waiting"),
    ],
)
def test_verdicts(candidate, is_accepted, has_exploded, reason) -> None:
    found = verdict(candidate)
    assert (found.is_accepted, found.has_exploded) == (is_accepted, has_exploded)
    assert reason in found.reason


def test_forgetting_is_measured_against_the_first_model() -> None:
    crept = changed(rehearsal_abs_rel=0.105)
    assert not verdict(changed(photometric=0.05, rehearsal_abs_rel=0.115), crept).is_accepted


def test_anything_finite_replaces_a_model_that_answers_nan() -> None:
    assert verdict(DEPLOYED, changed(photometric=math.nan)).is_accepted


def test_nothing_is_judged_on_numbers_that_are_none() -> None:
    nan = changed(photometric=math.nan)
    both = verdict(nan, nan)
    assert (both.is_accepted, both.has_exploded) == (False, False)
    assert both.reason.startswith("waiting")
    better = changed(photometric=0.05)
    assert not verdict(better, base=math.nan).is_accepted
    assert verdict(changed(photometric=0.05, rehearsal_abs_rel=math.nan), base=None).is_accepted


def test_refusals_carry_the_number_that_decided() -> None:
    assert (
        "0.1200 on rendered drives is above 0.1100"
        in verdict(changed(photometric=0.05, rehearsal_abs_rel=0.12)).reason
    )
    assert "0.1990 does not improve on 0.2000 by 1 %" in verdict(changed(photometric=0.099)).reason


def test_scale_errors_show_in_their_own_parts(tiny_networks, plane_snippets) -> None:
    networks = tiny_networks().eval()
    batches = [collate(plane_snippets(4))]
    before = held_out_error(networks, batches, [], ObjectiveConfig())
    networks.scale(1.0, 2.0)
    after = held_out_error(networks, batches, [], ObjectiveConfig())
    assert after.translation_scale_ratio == pytest.approx(2 * before.translation_scale_ratio)
    assert after.photometric == pytest.approx(before.photometric, rel=1e-4)
    assert math.isnan(after.rehearsal_abs_rel)


def test_rehearsal_error_is_free_of_scale(tiny_networks, plane_snippets) -> None:
    networks = tiny_networks().eval()
    live = [collate(plane_snippets(2))]
    rendered = [collate(plane_snippets(2, seed=1, with_truth=True))]
    before = held_out_error(networks, live, rendered, ObjectiveConfig()).rehearsal_abs_rel
    networks.scale(1.5, 1.0)
    after = held_out_error(networks, live, rendered, ObjectiveConfig()).rehearsal_abs_rel
    assert after == pytest.approx(before, rel=1e-3)
