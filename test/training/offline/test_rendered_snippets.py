# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered snippets by number: repeatable, moving, with the truth."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.snippets.store import StoreShape, open_store
from sfm_depth_ros.training.offline.rendered_snippets import (
    RenderedRows,
    SnippetRenderer,
    fill_cache,
)


@pytest.fixture(scope="module")
def renderer() -> SnippetRenderer:
    return SnippetRenderer(64, 32, per_drive=4)


def test_same_number_same_pixels(renderer) -> None:
    first, second = renderer(9), renderer(10)
    again = SnippetRenderer(64, 32, per_drive=4)(9)
    assert np.array_equal(first.target, again.target)
    assert np.array_equal(first.depth, again.depth)
    assert not np.array_equal(first.target, second.target)
    assert first.intrinsics == second.intrinsics  # of one drive


def test_truth_is_there_and_agrees_with_the_displacements(renderer) -> None:
    snippet = renderer(9)
    assert snippet.target.shape == (32, 64, 3)
    assert snippet.depth.shape == (32, 64)
    assert (snippet.depth > 0).all()
    lengths = np.linalg.norm(snippet.T_source_target[:, :3, 3], axis=1)
    assert lengths == pytest.approx(snippet.displacements, rel=1e-4)
    assert lengths.max() < 2.5


def test_filling_goes_on_where_it_stopped(tmp_path) -> None:
    rows = RenderedRows(StoreShape(32, 64, "test"), 4, 8, per_drive=4)
    cache = fill_cache(tmp_path / "whole", rows, 1, lambda: None)
    assert cache.rows.tolist() == [0, 1, 2, 3]
    interrupted = open_store(tmp_path / "part", rows.shape)
    for row in (0, 1, 3):
        interrupted.write(row, cache.snippet(row))
    again = fill_cache(tmp_path / "part", rows, 1, lambda: None)
    assert len(again.rows) == 4
    assert np.array_equal(again.batch([2]).target, cache.batch([2]).target)
