# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Snippets become tensors without losing a number."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.batch import LazyBatches, collate, collate_in_batches
from sfm_depth_ros.snippets.values import Snippet


def make_snippet(seed: int = 0, height: int = 8, width: int = 12) -> Snippet:
    rng = np.random.default_rng(seed)
    return Snippet(
        target=rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        sources=rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8),
        intrinsics=Intrinsics(10.0, 11.0, 5.0, 4.0, width, height),
        displacements=np.array([0.5, np.nan], np.float32),
        stamps_ns=np.array([0, 1, 2]),
    )


def test_values_and_shapes() -> None:
    first, second = make_snippet(0), make_snippet(1)
    batch = collate([first, second])
    assert batch.target.shape == (2, 3, 8, 12)
    assert batch.sources.shape == (2, 2, 3, 8, 12)
    assert torch.equal(
        (batch.sources[1, 1] * 255).round().to(torch.uint8),
        torch.from_numpy(second.sources[1]).permute(2, 0, 1),
    )
    assert batch.K[0].tolist() == [[10, 0, 5], [0, 11, 4], [0, 0, 1]]
    assert batch.displacements[0, 0] == 0.5
    assert batch.displacements[0, 1].isnan()
    assert batch.valid is None
    assert batch.depth is None
    assert batch.T_source_target is None
    assert len(batch) == 2


def test_target_is_channels_last_in_memory() -> None:
    batch = collate([make_snippet(0), make_snippet(1)])
    assert batch.target.is_contiguous(memory_format=torch.channels_last)


def test_missing_truth_is_filled_with_unknown() -> None:
    with_truth = dataclasses.replace(
        make_snippet(0),
        depth=np.full((8, 12), 3.0, np.float32),
        T_source_target=np.stack([np.eye(4), np.eye(4)]),
        valid=np.zeros((8, 12), bool),
    )
    batch = collate([with_truth, make_snippet(1)])
    assert batch.depth is not None
    assert batch.T_source_target is not None
    assert batch.valid is not None
    assert batch.depth[0].unique().tolist() == [3.0]
    assert batch.depth[1].unique().tolist() == [0.0]
    assert batch.T_source_target[0, 0].equal(torch.eye(4))
    assert batch.T_source_target[1].isnan().all()
    assert not batch.valid[0].any()
    assert batch.valid[1].all()


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="one image size"):
        collate([make_snippet(0), make_snippet(1, width=16)])
    with pytest.raises(ValueError, match="one image size"):
        collate([])


def test_select_keeps_rows() -> None:
    batch = collate([make_snippet(i) for i in range(3)])
    part = batch.select(slice(1, 3))
    assert len(part) == 2
    assert torch.equal(part.target, batch.target[1:])
    assert part.depth is None


def test_extra_inputs_are_stacked_and_filled_with_unknown() -> None:
    plain = make_snippet(1)
    T = np.eye(4, dtype=np.float32)
    T[0, 3] = -0.5
    rng = np.random.default_rng(5)
    full = dataclasses.replace(
        make_snippet(0),
        right=rng.integers(0, 256, (8, 12, 3), dtype=np.uint8),
        T_right_target=T,
        sparse_depth=rng.random((8, 12), dtype=np.float32),
        instances=rng.integers(0, 4, (3, 8, 12), dtype=np.uint8),
    )
    batch = collate([plain, full])
    assert batch.right is not None
    assert batch.T_right_target is not None
    assert batch.sparse_depth is not None
    assert batch.instances is not None
    assert torch.equal(batch.right[1] * 255, torch.tensor(full.right).permute(2, 0, 1).float())
    assert torch.equal(batch.T_right_target[1], torch.from_numpy(T))
    assert torch.equal(batch.sparse_depth[1, 0], torch.from_numpy(full.sparse_depth))
    assert torch.equal(batch.instances[1], torch.from_numpy(full.instances))
    assert batch.instances.dtype == torch.uint8
    assert batch.T_right_target[0].isnan().all()
    assert not batch.right[0].any()
    assert not batch.sparse_depth[0].any()
    assert not batch.instances[0].any()
    nothing = collate([plain])
    assert (nothing.right, nothing.T_right_target) == (None, None)
    assert (nothing.sparse_depth, nothing.instances) == (None, None)


def test_lazy_batches_are_those_of_collate() -> None:
    snippets = [make_snippet(seed) for seed in range(5)]
    lazy = LazyBatches(snippets, 2, "cpu")
    assert len(lazy) == 3
    expected = collate_in_batches(snippets, 2)
    for found, batch in zip(lazy, expected, strict=True):
        assert torch.equal(found.sources, batch.sources)
    assert [len(batch) for batch in lazy[1:]] == [2, 1]
    with pytest.raises(IndexError):
        lazy[3]
