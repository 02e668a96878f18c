# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of a step: repeatable, of one size, in the shares asked for."""

from __future__ import annotations

import pytest
import torch

from sfm_depth_ros.config.schema import OfflineTrainingConfig
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.training.snippet_cache import CacheShape, SnippetCache, open_cache
from sfm_depth_ros.training.training_data import CacheBatches, TrainingData, recorded_cache

CONFIG = OfflineTrainingConfig(batch_size=3, synthetic_share=0.25)


@pytest.fixture
def rendered(tmp_path, plane_snippets) -> SnippetCache:
    cache = open_cache(tmp_path / "rendered", CacheShape(10, 64, 96, "rendered"))
    for row, snippet in enumerate(plane_snippets(10, with_truth=True)):
        cache.write(row, snippet)
    return cache


@pytest.fixture
def recorded(tmp_path, plane_snippets) -> SnippetCache:
    return recorded_cache(tmp_path / "bag", "bag", plane_snippets(5, seed=1), most=20)


def test_a_step_always_has_the_same_batch(rendered) -> None:
    data = TrainingData([rendered], [], [], CONFIG)
    first, again, other = data.batch(4), data.batch(4), data.batch(5)
    assert len(first) == 3
    assert torch.equal(first.target, again.target)
    assert not torch.equal(first.target, other.target)


def test_shares_of_rendered_and_recorded(rendered, recorded) -> None:
    data = TrainingData([rendered], [recorded], [], CONFIG)
    with_truth = [bool((data.batch(step).depth > 0).any()) for step in range(200)]
    assert sum(with_truth) == pytest.approx(50, abs=20)


def test_recorded_snippets_are_kept_for_the_next_run(tmp_path, recorded) -> None:
    assert len(recorded.rows) == 5
    again = recorded_cache(tmp_path / "bag", "bag", recorded_snippets(recorded), most=20)
    assert len(again.rows) == 5


def recorded_snippets(cache: SnippetCache):
    return (cache.snippet(int(row)) for row in cache.rows)


def test_a_bag_without_snippets_is_an_error(tmp_path) -> None:
    with pytest.raises(DataError, match="must move"):
        recorded_cache(tmp_path / "empty", "empty", [], most=3)


def test_validation_reads_every_row_once(rendered) -> None:
    batches = CacheBatches([rendered])
    assert [len(batch) for batch in batches] == [8, 2]
