# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of a step: repeatable, of one size, in the shares asked for; and who judges."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_run import source_of

from sfm_depth_ros.config.schema import OfflineTrainingConfig
from sfm_depth_ros.training.offline import data as module
from sfm_depth_ros.training.offline.caches import CacheStore
from sfm_depth_ros.training.offline.data import Source, TrainingData, _split, batches_of

CONFIG = OfflineTrainingConfig(batch_size=3, synthetic_share=0.25)
SECOND = 10**9


@pytest.fixture
def rendered(tmp_path, plane_snippets) -> Source:
    return source_of(tmp_path / "rendered", plane_snippets(10, with_truth=True))


@pytest.fixture
def recorded(tmp_path, plane_snippets) -> Source:
    return source_of(tmp_path / "bag", plane_snippets(5, seed=1, with_truth=True))


def test_a_step_always_has_the_same_batch(rendered) -> None:
    data = TrainingData([rendered], [], CONFIG)
    first, again, other = data.batch(4), data.batch(4), data.batch(5)
    assert len(first) == 3
    assert torch.equal(first.target, again.target)
    assert not torch.equal(first.target, other.target)


def test_shares_of_rendered_and_recorded_whose_truth_is_never_taught(rendered, recorded) -> None:
    data = TrainingData([rendered], [recorded], CONFIG)
    batches = [data.batch(step) for step in range(200)]
    assert sum(batch.depth is not None for batch in batches) == pytest.approx(50, abs=20)
    assert all((b.depth is None) == (b.T_source_target is None) for b in batches)


def test_weights_of_bags(tmp_path, plane_snippets, recorded) -> None:
    other = source_of(tmp_path / "other", plane_snippets(10, seed=2))
    heavy_bag = dataclasses.replace(recorded, weight=6.0)
    data = TrainingData([], [heavy_bag, other], CONFIG)
    known = recorded.cache.batch(recorded.rows).target
    heavy = [bool((data.batch(s).target[0] == known).flatten(1).all(1).any()) for s in range(200)]
    assert sum(heavy) == pytest.approx(150, abs=25)  # 5 rows x 6 against 10 rows x 1


def test_processes_share_the_batch_of_one(rendered) -> None:
    data = TrainingData([rendered], [], CONFIG)
    parts = [data.batch(3, rank, 2) for rank in range(2)]
    both = dataclasses.replace(data, config=dataclasses.replace(CONFIG, batch_size=6)).batch(3)
    assert torch.equal(torch.cat([part.target for part in parts]), both.target)
    few = TrainingData([rendered], [], dataclasses.replace(CONFIG, batch_size=8))
    assert len(few.batch(0, 1, 2)) == 8  # 16 of 10 rows: some come twice


def test_every_height_has_a_rendered_snippet(monkeypatch, rendered) -> None:
    """Of one snippet for two heights half a one was made of each: nothing to draw from."""
    made = []
    monkeypatch.setattr(module, "rendered_cache", lambda p, *_: made.append(p) or rendered.cache)
    store = CacheStore(Path("unused"), 1)
    config = OfflineTrainingConfig(synthetic_heights=(96, 160), synthetic_validation=2)
    module.prepare_data([], [], 1, config, store)
    learnt = [place for place in made if place.first_number < module.VALIDATION_NUMBER]
    assert [place.count for place in learnt] == [1, 1]


def test_held_out_blocks_keep_a_gap(tmp_path, plane_snippets) -> None:
    stamps = np.arange(400)[:, None] * SECOND // 10 + np.array([0, 1, 2]) * SECOND // 10
    snippet = plane_snippets(1)[0]
    snippets = (dataclasses.replace(snippet, stamps_ns=row) for row in stamps)
    cache = source_of(tmp_path / "bag", snippets).cache
    learnt, held_out = _split(cache, 0.1)
    assert 20 <= len(held_out) <= 60
    assert len(learnt) > 280
    seconds = stamps[:, [0, 2]] / SECOND
    for row in held_out:
        apart = (seconds[learnt, 0] > seconds[row, 1] + 0.4) | (
            seconds[learnt, 1] < seconds[row, 0] - 0.4
        )
        assert apart.all()
    assert len(_split(cache, 0.0)[0]) == 400


def test_a_drive_of_seconds_teaches_with_all_it_has(tmp_path, plane_snippets) -> None:
    cache = source_of(tmp_path / "bag", plane_snippets(4)).cache
    learnt, held_out = _split(cache, 0.5)
    assert len(learnt) + len(held_out) <= 4
    assert len(learnt) > 0


def test_validation_reads_every_row_once(rendered) -> None:
    assert [len(batch) for batch in batches_of([rendered])] == [8, 2]
