# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Disparity by hand, and rows sampled against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.geometry.stereo import disparity_from_depth, sample_along_rows

NAN, INF = math.nan, math.inf


def _double(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_disparity_by_hand(dtype: torch.dtype) -> None:
    """KITTI's numbers: 721.5 pixels and 0.54 m; 38.961 pixels are 10 m away."""
    depth = torch.tensor([[10.0, 100.0]], dtype=dtype).view(1, 1, 1, 2)
    disparity = disparity_from_depth(depth, 721.5, 0.54)
    assert disparity.dtype == dtype
    assert disparity.flatten().tolist() == pytest.approx([38.961, 3.8961], rel=1e-6)


def test_cameras_of_their_own() -> None:
    depth = torch.full((2, 1, 1, 1), 4.0, dtype=torch.float64)
    focal, baseline = torch.tensor([100.0, 200.0]).double(), torch.tensor([0.5, 0.1]).double()
    disparity = disparity_from_depth(depth, focal, baseline)
    assert disparity.flatten().tolist() == pytest.approx([12.5, 5.0])
    with pytest.raises(ValueError, match="baseline"):
        disparity_from_depth(depth, focal[:1], baseline)


def test_what_has_no_depth_has_no_disparity_and_infinity_has_none_to_see() -> None:
    depth = torch.tensor([0.0, -1.0, NAN, INF, 25.0]).view(1, 1, 1, 5).requires_grad_()
    disparity = disparity_from_depth(depth, 100.0, 0.5)
    assert disparity.isnan().flatten().tolist() == [True] * 3 + [False] * 2
    assert disparity.flatten()[3:].tolist() == [0.0, 2.0]
    disparity[disparity.isfinite()].sum().backward()
    assert depth.grad is not None
    assert depth.grad.flatten().tolist() == pytest.approx([0, 0, 0, 0, -0.08])


def test_gradients_by_finite_differences() -> None:
    value = (1 + _double(2, 1, 2, 3)).requires_grad_()
    focal, baseline = (1 + _double(2)).requires_grad_(), (1 + _double(2, seed=1)).requires_grad_()
    assert torch.autograd.gradcheck(disparity_from_depth, (value, focal, baseline))


def test_rows_equal_numpy() -> None:
    image = _double(2, 3, 4, 7)
    columns = 9 * _double(2, 1, 4, 5, seed=1) - 1
    columns[0, 0, 0, :2] = torch.tensor([0.0, 6.0])
    sampled, inside = sample_along_rows(image, columns)
    assert not inside.all() and inside.any()
    for b, c, v in np.ndindex(2, 3, 4):
        at = columns[b, 0, v].numpy()
        expected = np.interp(at, np.arange(7), image[b, c, v].numpy())
        np.testing.assert_allclose(sampled[b, c, v].numpy(), expected, atol=1e-14)
        assert inside[b, 0, v].tolist() == ((at >= 0) & (at <= 6)).tolist()


def test_rows_have_gradients_and_survive_nonsense() -> None:
    image = _double(1, 2, 3, 5).requires_grad_()
    columns = (0.2 + 3.5 * _double(1, 1, 3, 4, seed=1)).requires_grad_()
    assert torch.autograd.gradcheck(lambda *x: sample_along_rows(*x)[0], (image, columns))
    broken = torch.tensor([NAN, INF, -INF, 2.0]).double().expand(1, 1, 3, 4).clone()
    sampled, inside = sample_along_rows(image, broken.requires_grad_())
    sampled.sum().backward()
    assert inside[0, 0, 0].tolist() == [False, False, False, True]
    assert sampled.isfinite().all() and broken.grad is not None and broken.grad.isfinite().all()
    one = sample_along_rows(torch.ones(1, 1, 2, 1), torch.zeros(1, 1, 2, 3))[0]
    assert (one == 1).all()


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="columns"):
        sample_along_rows(torch.ones(1, 3, 4, 5), torch.ones(1, 1, 5, 5))
