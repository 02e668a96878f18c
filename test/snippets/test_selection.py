# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.snippets.selection import BLOCK_S, GUARD_S, HoldoutSchedule, Role

SECOND = 10**9


def _spans(seconds: float, rate: float = 10) -> np.ndarray:
    """Stamps of snippets of a long drive, ``(N, 3)``."""
    stamps = np.arange(int(seconds * rate)) * int(SECOND / rate) + 5 * SECOND
    return np.stack([stamps[:-2], stamps[1:-1], stamps[2:]], axis=1)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_share_is_kept_and_roles_are_apart_in_time(share):
    schedule = HoldoutSchedule(5 * SECOND, share)
    spans = _spans(600)
    roles = [schedule.role(span) for span in spans]
    training = spans[[role is Role.TRAINING for role in roles]]
    holdout = spans[[role is Role.HOLDOUT for role in roles]]
    assert len(holdout) / len(spans) == pytest.approx(share, rel=0.15)
    assert len(training) > 0
    gaps = np.maximum(
        training[:, None, 0] - holdout[None, ::7, 2], holdout[None, ::7, 0] - training[:, None, 2]
    )
    assert gaps.min() >= GUARD_S * SECOND * 0.99


def test_a_short_drive_has_both():
    schedule = HoldoutSchedule(5 * SECOND, 0.1)
    roles = [schedule.role(span) for span in _spans(3 + BLOCK_S + 1)]
    assert {Role.TRAINING, Role.HOLDOUT} <= set(roles)
    assert roles[0] is Role.TRAINING


def test_the_same_stamps_have_the_same_role_and_no_share_means_none():
    schedule = HoldoutSchedule(5 * SECOND, 0.1)
    for span in _spans(40):
        assert schedule.role(span) is schedule.role(span.copy())
        assert HoldoutSchedule(0, 0.0).role(span) is Role.TRAINING
    assert schedule.role(np.array([-10, -9, -8]) * SECOND) in (*Role, None)


@pytest.mark.parametrize(("early_s", "early"), [(60.0, [13, 33, 53]), (0.0, [])])
def test_blocks_come_twice_as_often_at_first(early_s, early):
    schedule = HoldoutSchedule(5 * SECOND, 0.1, early_s)
    spans = _spans(140)
    held_out = np.array([schedule.role(span) is Role.HOLDOUT for span in spans])
    seconds = (spans[:, 0] - 5 * SECOND) / SECOND
    begins = seconds[held_out & ~np.roll(held_out, 1)]
    assert begins == pytest.approx(sorted([3, 23, 43, 63, 83, 103, 123, *early]), abs=0.11)


def test_short_cycles_stay_as_they_are():
    """A block every 10 s: twice as many would leave 2 of 5 seconds to train on."""
    schedule = HoldoutSchedule(5 * SECOND, 0.2, 60.0)
    roles = [schedule.role(span) for span in _spans(21)]
    assert roles.count(Role.TRAINING) > 1.5 * roles.count(Role.HOLDOUT)
    assert schedule.role(np.array([13.1, 13.2, 13.3]) * SECOND) is Role.TRAINING
