# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rendered pool: one at a time, kept over restarts, held-out ones apart."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.training.online.rehearsal import (
    FEW,
    HELD_OUT,
    HELD_OUT_SEED,
    POOL,
    RENDER_EVERY,
    CameraRehearsal,
    Rehearsal,
    World,
)

SIZE = (64, 96)


@pytest.fixture
def open_rehearsal(tmp_path, plane_snippets):
    snippets = plane_snippets(4, with_truth=True)
    asked: list[int] = []

    def render(number: int):
        asked.append(number)
        return snippets[number % 4]

    return lambda: (Rehearsal(tmp_path, SIZE, World("test", render)), asked)


def test_fills_the_held_out_set_first_and_keeps_both(open_rehearsal) -> None:
    rehearsal, asked = open_rehearsal()
    assert rehearsal.held_out() == []
    assert rehearsal.sample(2, np.random.default_rng(0)) == []
    for _ in range((HELD_OUT + POOL) // 2):
        assert rehearsal.prepare()
    assert [number >= HELD_OUT_SEED for number in asked[: HELD_OUT + 1]] == [True] * HELD_OUT + [
        False
    ]
    while rehearsal.prepare():
        pass
    assert rehearsal.is_complete
    assert sum(map(len, rehearsal.held_out())) == HELD_OUT

    rendered = len(asked)
    again, asked = open_rehearsal()
    assert again.is_complete
    assert not again.prepare()
    assert len(asked) == rendered


def test_refresh_replaces_the_pool_in_turn_and_never_the_held_out_set(open_rehearsal) -> None:
    rehearsal, asked = open_rehearsal()
    while rehearsal.prepare():
        pass
    known = set(asked)
    asked.clear()
    for _ in range(3):
        rehearsal.refresh()
    assert len(set(asked) - known) == 3
    assert max(asked) < HELD_OUT_SEED


def test_samples_differ_and_hold_truth(open_rehearsal) -> None:
    rehearsal, _ = open_rehearsal()
    while rehearsal.prepare():
        pass
    sample = rehearsal.sample(3, np.random.default_rng(0))
    assert len(sample) == 3
    assert all(s.depth is not None and s.T_source_target is not None for s in sample)


def test_a_foreign_cache_is_made_anew(open_rehearsal, tmp_path, caplog) -> None:
    place = tmp_path / "96x64" / "pool"
    place.mkdir(parents=True)
    (place / "cache.json").write_text("{}")
    rehearsal, _ = open_rehearsal()
    assert rehearsal.prepare()
    assert "made anew" in caplog.text


def test_a_small_pool_grows_faster(tmp_path, plane_snippets) -> None:
    snippet = plane_snippets(1, with_truth=True)[0]
    world = World("test", lambda number: snippet)
    rehearsal = CameraRehearsal(tmp_path, lambda _: world, seed=0)
    rehearsal.follow(snippet.intrinsics)
    while rehearsal.judges_missing:
        rehearsal.render_missing()
    counts = []
    for step in range(2 * FEW + 2 * RENDER_EVERY):
        rehearsal.render_beside(step)
        counts.append(len(rehearsal.opened.sample(POOL, np.random.default_rng(0))))
    assert counts[2 * FEW - 1] == FEW
    assert counts[-1] - FEW == 2 * RENDER_EVERY // RENDER_EVERY


def test_without_a_camera_of_the_robots_own_all_are_judged_in_metres(tmp_path, plane_snippets):
    snippet = plane_snippets(1, with_truth=True)[0]
    for has_own, expected in ((True, [True, True, False, False] * (HELD_OUT // 4)), (False, True)):
        world = World("test", lambda _: snippet, has_own)
        assert (Rehearsal(tmp_path / f"{has_own}", SIZE, world).in_metres == expected).all()
