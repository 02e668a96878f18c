# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Left-right consistency on a synthetic fronto-parallel pair, and by loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from single_warp import warp_points
from torch import Tensor

from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.se3 import motion_to_transform
from sfm_depth_ros.geometry.stereo import disparity_from_depth, sample_along_rows
from sfm_depth_ros.losses.consistency import left_right_consistency

HEIGHT, WIDTH, FOCAL, BASELINE = 5, 24, 20.0, 0.6
NAN = math.nan


def _double(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def _pair(depth: float) -> tuple[Tensor, Tensor]:
    """Images of a textured wall at ``depth`` metres; its disparity is a whole number."""
    shift = round(FOCAL * BASELINE / depth)
    texture = _double(1, 3, HEIGHT, WIDTH + shift, seed=3)
    return texture[..., :WIDTH], texture[..., shift:]


def _reference(left: np.ndarray, right: np.ndarray) -> float:
    total = 0.0
    for own, other, sign in ((left, right, -1), (right, left, 1)):
        differences = []
        for b, v, u in np.ndindex(*own.shape):
            x = u + sign * own[b, v, u]
            if 0 <= x <= own.shape[-1] - 1:
                sampled = np.interp(x, np.arange(own.shape[-1]), other[b, v])
                differences.append(abs(own[b, v, u] - sampled))
        total += float(np.mean(differences)) / own.shape[-1]
    return total


def test_loss_equals_the_reference() -> None:
    left, right = 4 * _double(2, 1, HEIGHT, WIDTH), 4 * _double(2, 1, HEIGHT, WIDTH, seed=1)
    expected = _reference(left[:, 0].numpy(), right[:, 0].numpy())
    assert float(left_right_consistency(left, right)) == pytest.approx(expected, abs=1e-12)
    single = left_right_consistency(left.float(), right.float())
    assert single.dtype == torch.float32 and float(single) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("depth", [3.0, 4.0, 6.0])
def test_a_wall_rebuilds_the_left_image_from_the_right(depth: float) -> None:
    """By disparity along rows, and as one more source with a known motion: the same image."""
    left, right = _pair(depth)
    metres = torch.full((1, 1, HEIGHT, WIDTH), depth, dtype=torch.float64)
    disparity = disparity_from_depth(metres, FOCAL, BASELINE)
    columns = torch.arange(WIDTH) - disparity
    by_row, inside = sample_along_rows(right, columns)
    known = inside.expand_as(left)
    torch.testing.assert_close(by_row[known], left[known], atol=1e-12, rtol=0)
    assert int((~inside[0, 0, 0]).sum()) == round(FOCAL * BASELINE / depth)
    K = torch.tensor([[FOCAL, 0, 11.0], [0, FOCAL, 2.0], [0, 0, 1]], dtype=torch.float64)[None]
    motion = torch.tensor([[-BASELINE, 0, 0, 0, 0, 0]], dtype=torch.float64)
    T_right_left = motion_to_transform(motion)
    warped = warp_points(right, backproject(metres, K), K, T_right_left)
    torch.testing.assert_close(warped.image, by_row, atol=1e-12, rtol=0)


def test_a_wall_is_consistent_and_disagreement_costs() -> None:
    disparity = torch.full((1, 1, HEIGHT, WIDTH), 3.0, dtype=torch.float64)
    assert float(left_right_consistency(disparity, disparity)) == 0.0
    further = left_right_consistency(disparity, disparity + 1)
    assert float(further) == pytest.approx(2 / WIDTH)


def test_gradients() -> None:
    left = (3 * _double(1, 1, 3, 8)).requires_grad_()
    right = (3 * _double(1, 1, 3, 8, seed=1)).requires_grad_()
    assert torch.autograd.gradcheck(left_right_consistency, (left, right))


def test_unknown_disparities_poison_nothing() -> None:
    left, right = 4 * _double(2, 1, HEIGHT, WIDTH), 4 * _double(2, 1, HEIGHT, WIDTH, seed=1)
    pairs = torch.tensor([True, False])
    alone = left_right_consistency(left[:1], right[:1])
    assert float(left_right_consistency(left, right, pairs)) == pytest.approx(float(alone))
    left[0, 0, 1], right[0, 0, 2, 5], left[1], right[1] = NAN, math.inf, NAN, NAN
    left.requires_grad_()
    right.requires_grad_()
    loss = left_right_consistency(left, right)
    loss.backward()
    assert loss.isfinite()
    for given in (left, right):
        assert given.grad is not None and given.grad.isfinite().all()
        assert (given.grad[~given.detach().isfinite()] == 0).all()
        assert (given.grad != 0).any()
    # What is unknown is left out, not compared with zero.
    rows = [0, 3, 4]
    known = left_right_consistency(left.detach()[:1, :, rows], right.detach()[:1, :, rows])
    left_out = left.detach().clone()[:1], right.detach().clone()[:1]
    left_out[0][0, 0, 2], left_out[1][0, 0, 1] = NAN, NAN
    left_out[1][0, 0, 2] = NAN
    assert float(left_right_consistency(*left_out)) == pytest.approx(float(known))


def test_nothing_to_compare_is_zero() -> None:
    disparity = torch.full((1, 1, 2, 4), 10.0, requires_grad=True)
    loss = left_right_consistency(disparity, disparity)
    loss.backward()
    assert loss.item() == 0.0 and disparity.grad is not None and (disparity.grad == 0).all()


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="disparities"):
        left_right_consistency(torch.ones(1, 1, 2, 3), torch.ones(1, 1, 2, 4))
