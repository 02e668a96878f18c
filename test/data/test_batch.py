# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Snippets become tensors without losing a number."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from sfm_depth_ros.data.batch import collate
from sfm_depth_ros.data.sample import Snippet
from sfm_depth_ros.geometry.camera import Intrinsics


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
