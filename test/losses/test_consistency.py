# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth consistency by loops, and on a plane that two cameras see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.se3 import motion_to_transform
from sfm_depth_ros.geometry.warping import WarpResult, sample_sources, warp_sources
from sfm_depth_ros.losses.consistency import depth_consistency

SHAPE = (2, 3, 1, 4, 5)
NAN, INF = float("nan"), float("inf")


def _double(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def _warped(depth: Tensor, valid: Tensor | None = None) -> WarpResult:
    valid = torch.ones_like(depth, dtype=torch.bool) if valid is None else valid
    nothing = depth.new_zeros(0)
    return WarpResult(nothing, valid, depth, nothing)


def test_difference_equals_the_reference() -> None:
    projected, sampled = 1 + 9 * _double(*SHAPE), 1 + 9 * _double(*SHAPE, seed=1)
    inside = _double(*SHAPE, seed=2) > 0.3
    difference, valid = depth_consistency(_warped(projected, inside), sampled)
    assert difference.shape == valid.shape == (2, 3, 4, 5)
    for b, s, v, u in np.ndindex(2, 3, 4, 5):
        p, q = float(projected[b, s, 0, v, u]), float(sampled[b, s, 0, v, u])
        expected = abs(p - q) / (p + q) if inside[b, s, 0, v, u] else 0.0
        assert float(difference[b, s, v, u]) == pytest.approx(expected, abs=1e-15)
        assert bool(valid[b, s, v, u]) == bool(inside[b, s, 0, v, u])


def test_scale_does_not_matter() -> None:
    projected, sampled = 1 + 9 * _double(*SHAPE), 1 + 9 * _double(*SHAPE, seed=1)
    once, _ = depth_consistency(_warped(projected), sampled)
    larger, _ = depth_consistency(_warped(projected * 7), sampled * 7)
    torch.testing.assert_close(once, larger)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_plane_ahead_is_consistent_from_nearer(dtype: torch.dtype) -> None:
    """The source is 1 m nearer: what the target sees at 5 m it must see at 4 m."""
    K = torch.tensor([[10.0, 0, 4], [0, 10, 3], [0, 0, 1]], dtype=dtype)[None]
    T = motion_to_transform(torch.tensor([[[0, 0, -1.0, 0, 0, 0]]], dtype=dtype))
    depth = torch.full((1, 1, 7, 9), 5.0, dtype=dtype)
    source = torch.full((1, 1, 1, 7, 9), 4.0, dtype=dtype)
    warped = warp_sources(source, backproject(depth, K), K, T)
    difference, valid = depth_consistency(warped, sample_sources(source, warped.grid))
    assert difference.dtype == dtype
    assert valid.sum() == 7 * 5  # pixels spread by 5/4: one column less on either side is left
    assert float(difference.abs().max()) < 1e-6
    further, _ = depth_consistency(warped, 1.5 * warped.image)
    assert float(further[valid].mean()) == pytest.approx(2 / 10)


def test_gradients_by_finite_differences() -> None:
    projected = (1 + 9 * _double(1, 2, 1, 3, 4)).requires_grad_()
    sampled = (1 + 9 * _double(1, 2, 1, 3, 4, seed=1)).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p, q: depth_consistency(_warped(p), q)[0], (projected, sampled)
    )


@pytest.mark.parametrize("bad", [NAN, INF, 0.0, -2.0])
def test_depths_that_are_none_poison_nothing(bad: float) -> None:
    projected, sampled = torch.full((1, 1, 1, 2, 2), 3.0), torch.full((1, 1, 1, 2, 2), 2.0)
    sampled[..., 0, 0] = bad
    projected[..., 1, 1] = NAN
    projected.requires_grad_()
    sampled.requires_grad_()
    difference, valid = depth_consistency(_warped(projected), sampled)
    difference.sum().backward()
    assert valid.flatten().tolist() == [False, True, True, False]
    assert float(difference.detach()[0, 0, 0, 0]) == 0.0
    for gradient in (projected.grad, sampled.grad):
        assert gradient is not None and gradient.isfinite().all()
        assert gradient.flatten()[0] == gradient.flatten()[3] == 0 != gradient.flatten()[1]


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="depths"):
        depth_consistency(_warped(torch.ones(SHAPE)), torch.ones(2, 3, 4, 5))
