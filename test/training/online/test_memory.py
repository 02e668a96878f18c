# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches hold the shares that were asked for, and fill up where a source is empty."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.config.schema import OnlineTrainingConfig
from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.training.online.memory import draw_snippets, round_randomly
from sfm_depth_ros.training.online.rehearsal import Rehearsal, World

CONFIG = OnlineTrainingConfig(batch_size=4, present_share=0.25, synthetic_share=0.5)
SIZE = (64, 96)


@pytest.fixture
def buffer(tmp_path, drive) -> ReplayBuffer:
    buffer = ReplayBuffer(tmp_path / "buffer", 100, 1 << 30, 0.1, 0)
    for snippet in drive(40):
        buffer.add(snippet)
    return buffer


@pytest.fixture
def rehearsal(tmp_path, plane_snippets) -> Rehearsal:
    snippet = plane_snippets(1, with_truth=True)[0]
    rehearsal = Rehearsal(tmp_path / "rehearsal", SIZE, World("one", lambda number: snippet))
    while rehearsal.prepare():
        pass
    return rehearsal


def test_shares(buffer, rehearsal) -> None:
    rng = np.random.default_rng(0)
    newest = {int(s.stamps_ns[1]) for s in buffer.newest(4)}
    draws = [draw_snippets(buffer, rehearsal, CONFIG, rng, SIZE) for _ in range(50)]
    assert all(len(d.live) == 2 and len(d.rendered) == 2 for d in draws)
    assert all(d.rendered[0].depth is not None for d in draws)
    present = [sum(int(s.stamps_ns[1]) in newest for s in d.live) for d in draws]
    assert min(present) >= 1
    assert np.mean(present) < 1.5


def test_held_out_snippets_never_come(buffer) -> None:
    held_out = {int(s.stamps_ns[1]) for s in buffer.holdout()}
    assert held_out
    rng = np.random.default_rng(0)
    for _ in range(50):
        draw = draw_snippets(buffer, None, CONFIG, rng, SIZE)
        assert not held_out & {int(s.stamps_ns[1]) for s in draw.live}


def test_empty_sources_are_filled_up(buffer) -> None:
    draw = draw_snippets(buffer, None, CONFIG, np.random.default_rng(0), SIZE)
    assert (len(draw.live), len(draw.rendered)) == (4, 0)


def test_another_image_size_is_left_out(buffer, rehearsal) -> None:
    draw = draw_snippets(buffer, None, CONFIG, np.random.default_rng(0), (96, 96))
    assert draw.live == []


def test_rounding_keeps_the_mean() -> None:
    rng = np.random.default_rng(0)
    rounded = [round_randomly(1.25, rng) for _ in range(4000)]
    assert set(rounded) == {1, 2}
    assert np.mean(rounded) == pytest.approx(1.25, abs=0.03)
