# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Changes by hand, places by stamps, and intervals that hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.training.frame_errors import FrameErrors
from sfm_depth_ros.training.online.paired import (
    change_by_place,
    mean_change,
    places_of,
    relative_changes,
)


def errors(landmark, photometric=0.1, translation=0.1) -> FrameErrors:
    landmark = np.asarray(landmark, float)
    fill = np.ones_like(landmark)
    return FrameErrors(fill * photometric, fill * translation, landmark, fill, fill)


def seconds(*values: float) -> np.ndarray:
    return (np.array(values) * 1e9).astype(np.int64)


def test_change_by_hand() -> None:
    before, after = errors([0.1, 0.3]), errors([0.1, 0.2], photometric=0.12)
    # landmarks: 0.5 * (0, -0.1) / 0.2; photometric: 0.25 * 0.02 / 0.1
    assert relative_changes(after, before) == pytest.approx([0.05, -0.20])
    assert relative_changes(after, before, ("landmark",)) == pytest.approx([0.0, -0.5])


def test_tiny_errors_are_no_large_changes() -> None:
    before, after = errors([0.2] * 2, translation=0.001), errors([0.2] * 2, translation=0.002)
    assert relative_changes(after, before) == pytest.approx([0.25 * 0.001 / 0.05] * 2)


def test_unknown_landmarks_change_nothing() -> None:
    before, after = errors([0.2, np.nan]), errors([0.1, np.nan])
    assert relative_changes(after, before) == pytest.approx([-0.25, 0.0])


def test_a_part_that_nobody_knows_has_no_share() -> None:
    before = errors([np.nan, np.nan], photometric=0.10, translation=0.10)
    after = errors([np.nan, np.nan], photometric=0.12, translation=0.10)
    assert relative_changes(after, before) == pytest.approx([0.10, 0.10])  # half of 0.02 / 0.1
    assert relative_changes(after, before, ("landmark",)).tolist() == [0.0, 0.0]


def test_blocks_of_time_are_places() -> None:
    stamps = seconds(20.0, 20.5, 21.0, 21.5, 0.0, 0.5, 1.0, 1.5, 60.0)
    # the last is too small to be a place
    assert places_of(stamps).tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 1]
    assert places_of(seconds(*np.arange(0, 8, 0.5))).tolist() == [0] * 9 + [1] * 7
    assert places_of(seconds()).tolist() == []
    assert places_of(seconds(3.0)).tolist() == [0]


def test_the_same_change_everywhere_is_certain() -> None:
    change = mean_change(np.full(8, -0.1), np.repeat([0, 1], 4))
    assert (change.mean, change.low, change.high) == pytest.approx((-0.1, -0.1, -0.1))
    assert change.is_better
    assert not change.is_worse
    assert str(change) == "-10.0 % (-10.0 to -10.0) on 8 snippets"


def test_places_that_contradict_each_other_prove_nothing() -> None:
    changes = np.concatenate([np.full(8, -0.12), np.full(8, 0.02)])
    by_frames = mean_change(changes, np.zeros(16))
    by_places = mean_change(changes, np.repeat([0, 1], 8))
    assert by_frames.is_better
    assert not by_places.is_better
    found = change_by_place(changes, np.repeat([0, 1], 8))
    assert found[0].is_better
    assert found[1].is_worse


def test_no_change_is_rarely_a_gain() -> None:
    rng = np.random.default_rng(1)
    places = np.repeat(np.arange(5), 6)
    gains = 0
    for _ in range(100):
        changes = 0.05 * rng.normal(size=5)[places] + 0.05 * rng.normal(size=30)
        gains += mean_change(changes, places).is_better
    assert gains <= 15, "5 % of a hundred, and the few places of a small sample"


def test_one_of_many_places_is_worse_by_chance() -> None:
    """The same seven snippets prove less where five other places were looked at as well."""
    here = np.array([0.20, 0.14, 0.02, 0.11, -0.06, 0.02, 0.03])
    alone = change_by_place(here, np.zeros(7))[0]
    changes, places = np.tile(here, 6), np.repeat(np.arange(6), 7)
    among = change_by_place(changes, places)
    assert alone.is_worse
    assert all(change.low < alone.low and change.high > alone.high for change in among.values())
    assert among[0].low == pytest.approx(-0.01, abs=0.02)
