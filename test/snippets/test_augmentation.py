# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation keeps geometry true and frames alike."""

from __future__ import annotations

import dataclasses

import torch

from sfm_depth_ros.snippets.augmentation import (
    JitterStrength,
    PhotometricJitter,
    flip_batch,
    random_flip,
)
from sfm_depth_ros.snippets.batch import SnippetBatch


def make_batch(count: int = 2, height: int = 6, width: int = 10) -> SnippetBatch:
    generator = torch.Generator().manual_seed(0)
    K = torch.tensor([[8.0, 0, 3.0], [0, 8.0, 2.5], [0, 0, 1]]).repeat(count, 1, 1)
    T = torch.eye(4).repeat(count, 2, 1, 1)
    T[..., :3, 3] = torch.tensor([0.3, 0.1, -1.0])
    return SnippetBatch(
        target=torch.rand(count, 3, height, width, generator=generator),
        sources=torch.rand(count, 2, 3, height, width, generator=generator),
        K=K,
        displacements=torch.ones(count, 2),
        depth=torch.rand(count, 1, height, width, generator=generator) + 1,
        T_source_target=T,
    )


def jitter(**strength: float) -> PhotometricJitter:
    nothing = JitterStrength(0.0, 0.0, 0.0, 0.0, 0.0)
    return PhotometricJitter(
        dataclasses.replace(nothing, **strength), torch.Generator().manual_seed(3)
    )


def test_no_strength_is_identity() -> None:
    images = torch.rand(2, 3, 3, 6, 10)
    assert torch.allclose(jitter()(images), images, atol=1e-5)


def test_frames_of_a_sample_change_alike_and_samples_differ() -> None:
    frame = torch.rand(1, 1, 3, 6, 10) * 0.4 + 0.3
    images = frame.expand(2, 3, 3, 6, 10)
    changed = jitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.05)(images)
    assert torch.equal(changed[0, 0], changed[0, 2])
    assert not torch.allclose(changed[0, 0], changed[1, 0], atol=1e-3)


def test_grey_has_equal_channels_and_keeps_luma() -> None:
    images = torch.rand(2, 3, 3, 6, 10)
    grey = jitter(grey_share=1.0)(images)
    assert torch.allclose(grey[:, :, 0], grey[:, :, 2], atol=1e-3)
    luma = torch.tensor([0.299, 0.587, 0.114])
    expected = torch.einsum("bnchw,c->bnhw", images, luma)
    assert torch.allclose(grey[:, :, 1], expected, atol=1e-3)


def test_contrast_keeps_the_mean_grey() -> None:
    images = torch.rand(1, 1, 3, 32, 32).mean(2, keepdim=True).expand(1, 1, 3, 32, 32) * 0.4 + 0.3
    changed = jitter(contrast=0.3)(images)
    assert abs(float(changed.mean() - images.mean())) < 0.01
    assert abs(float(changed.std() / images.std()) - 1) > 0.01


def test_same_seed_gives_the_same_change() -> None:
    images = torch.rand(2, 3, 3, 6, 10)
    assert torch.equal(jitter(brightness=0.2)(images), jitter(brightness=0.2)(images))


def test_flip_twice_is_identity() -> None:
    batch = make_batch()
    back = flip_batch(flip_batch(batch))
    for field in ("target", "sources", "K", "depth", "T_source_target"):
        assert torch.equal(getattr(back, field), getattr(batch, field)), field


def test_flip_keeps_geometry() -> None:
    """A point seen at column u in target and source is seen at W-1-u in the mirrored ones."""
    batch = make_batch(count=1)
    flipped = flip_batch(batch)
    assert flipped.T_source_target is not None
    assert batch.T_source_target is not None
    u, v, z = 2.0, 1.0, 4.0

    def source_pixel(K: torch.Tensor, T: torch.Tensor, column: float) -> torch.Tensor:
        point = torch.linalg.inv(K) @ torch.tensor([column, v, 1.0]) * z
        moved = K @ (T[:3, :3] @ point + T[:3, 3])
        return moved[:2] / moved[2]

    before = source_pixel(batch.K[0], batch.T_source_target[0, 0], u)
    after = source_pixel(flipped.K[0], flipped.T_source_target[0, 0], 9 - u)
    assert torch.allclose(after, torch.tensor([9 - before[0], before[1]]), atol=1e-5)


def test_flip_keeps_the_stereo_pair_true() -> None:
    """The mirrored second camera sees the mirrored point where its mirrored image shows it."""
    T = torch.eye(4)
    T[:3, 3] = torch.tensor([-0.5, 0.02, 0.01])
    batch = make_batch(count=1)
    right = torch.zeros(1, 3, 6, 10)
    u, v, z = 4.0, 3.0, 4.0
    x, y = (u - 3.0) / 8 * z, (v - 2.5) / 8 * z  # K of make_batch
    seen = ((x - 0.5) / (z + 0.01) * 8 + 3.0, (y + 0.02) / (z + 0.01) * 8 + 2.5)
    right[0, :, round(seen[1]), round(seen[0])] = 1.0
    instances = torch.arange(3 * 60, dtype=torch.uint8).reshape(1, 3, 6, 10)
    sparse = torch.rand(1, 1, 6, 10)
    flipped = flip_batch(
        dataclasses.replace(
            batch, right=right, T_right_target=T[None], instances=instances, sparse_depth=sparse
        )
    )
    assert flipped.right is not None
    assert flipped.T_right_target is not None
    fx, cx = float(flipped.K[0, 0, 0]), float(flipped.K[0, 0, 2])
    moved = flipped.T_right_target[0] @ torch.tensor([(9 - u - cx) / fx * z, y, z, 1.0])
    column = float(moved[0] / moved[2]) * fx + cx
    assert abs(column - (9 - seen[0])) < 1e-4
    assert flipped.right[0, 0, round(seen[1]), round(column)] == 1.0
    assert flipped.T_right_target[0, 0, 3] == 0.5
    assert flipped.instances is not None
    assert flipped.sparse_depth is not None
    assert flipped.instances[0, 2, 1, 0] == instances[0, 2, 1, 9]
    assert flipped.sparse_depth[0, 0, 1, 0] == sparse[0, 0, 1, 9]


def test_random_flip_does_both() -> None:
    batch, generator = make_batch(), torch.Generator().manual_seed(0)
    flips = [random_flip(batch, generator) is not batch for _ in range(40)]
    assert 8 < sum(flips) < 32
