# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Supervision by exact depth and motion."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sfm_depth_ros.geometry.se3 import motion_to_transform
from sfm_depth_ros.losses.masked_mean import counts_shared_by
from sfm_depth_ros.losses.supervised import (
    ROTATION_WEIGHT,
    depth_supervision,
    motion_supervision,
    sparse_depth_loss,
)

NAN, INF = float("nan"), float("inf")


def _image(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


def test_mean_log_error_over_known_pixels() -> None:
    depth = _image(2.0, 5.0, 1.0, 1.0, 1.0, 1.0)
    truth = _image(1.0, 10.0, 0.0, -1.0, NAN, INF)
    assert float(depth_supervision(depth, truth)) == pytest.approx(math.log(2))


def test_sky_must_only_be_far() -> None:
    truth = _image(500.0, 500.0)
    assert float(depth_supervision(_image(120.0, 300.0), truth)) == 0.0
    half = depth_supervision(_image(50.0, 300.0), truth)
    assert float(half) == pytest.approx(math.log(2) / 2)


def test_near_truth_pulls_back_what_is_beyond_the_cap() -> None:
    assert float(depth_supervision(_image(200.0), _image(50.0))) == pytest.approx(math.log(4))


def test_no_truth_is_zero_with_zero_gradient() -> None:
    depth = _image(2.0, 3.0).requires_grad_()
    loss = depth_supervision(depth, _image(NAN, 0.0))
    loss.backward()
    assert loss.item() == 0.0
    assert depth.grad is not None and (depth.grad == 0).all()


def test_depth_gradients() -> None:
    depth, truth = _image(2.0, 5.0, 50.0, 3.0).requires_grad_(), _image(1.0, 10.0, 500.0, NAN)
    assert torch.autograd.gradcheck(lambda d: depth_supervision(d, truth), (depth,))


def test_motion_error_by_hand() -> None:
    predicted = motion_to_transform(torch.tensor([[0, 0, 1.1, 0, 0.02, 0]], dtype=torch.float64))
    truth = motion_to_transform(torch.tensor([[0, 0, 1.0, 0, 0.05, 0]], dtype=torch.float64))
    expected = 0.1 + ROTATION_WEIGHT * 0.03
    assert float(motion_supervision(predicted, truth)) == pytest.approx(expected)


def test_standing_still_is_not_divided_by_zero() -> None:
    predicted = motion_to_transform(torch.tensor([[[0, 0, 0.05, 0, 0, 0]]], dtype=torch.float64))
    still = torch.eye(4, dtype=torch.float64).view(1, 1, 4, 4)
    assert float(motion_supervision(predicted, still)) == pytest.approx(0.5)


def test_exact_motion_has_no_error_and_finite_gradients() -> None:
    for dtype in (torch.float32, torch.float64):
        motion = torch.tensor([[0.1, 0, 1.0, 0.01, 0.02, 0.03]], dtype=dtype, requires_grad=True)
        predicted = motion_to_transform(motion)
        loss = motion_supervision(predicted, predicted.detach())
        loss.backward()
        assert loss.item() == pytest.approx(0.0, abs=1e-5)
        assert motion.grad is not None and motion.grad.isfinite().all()


def test_motion_gradients() -> None:
    truth = motion_to_transform(torch.tensor([[0.1, 0, 1.0, 0.01, 0.02, 0.03]]).double())
    motion = torch.tensor([[0.2, 0.1, 0.7, 0.05, -0.02, 0.0]]).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda m: motion_supervision(motion_to_transform(m), truth), (motion,)
    )


def test_unknown_motions_teach_nothing() -> None:
    motion = torch.tensor([[0.2, 0, 0.7, 0, 0, 0], [0.1, 0, 0.3, 0, 0.2, 0]]).double()
    truth = motion_to_transform(torch.tensor([[0.2, 0, 1.0, 0, 0, 0]]).double()).repeat(2, 1, 1)
    truth[1, :3, 3] = NAN
    motion.requires_grad_()
    loss = motion_supervision(motion_to_transform(motion), truth)
    loss.backward()
    assert loss.item() == pytest.approx(0.3 / math.sqrt(1.04))
    assert motion.grad is not None
    assert motion.grad[0].any() and not motion.grad[1].any()
    assert motion_supervision(truth.nan_to_num(1.0), truth * NAN).item() == 0.0


def test_motions_that_processes_know_unevenly_have_the_mean_of_the_whole() -> None:
    motion = torch.rand(4, 2, 6, dtype=torch.float64, requires_grad=True)
    truth = motion_to_transform(torch.rand(4, 2, 6, dtype=torch.float64))
    truth[[0, 1, 3]] = NAN  # the first process knows nothing, the second one snippet of two
    whole = motion_supervision(motion_to_transform(motion), truth)
    expected = torch.autograd.grad(whole, motion)[0]
    mean_count = torch.tensor(2 / 2, dtype=torch.float64)  # motions known, by process
    parts = []
    for rows in (slice(0, 2), slice(2, 4)):
        with counts_shared_by(lambda count: mean_count.clone()):
            part = motion_supervision(motion_to_transform(motion[rows]), truth[rows])
        parts.append(torch.autograd.grad(part, motion)[0])
    torch.testing.assert_close(sum(parts) / 2, expected)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="truth"):
        depth_supervision(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 3))
    with pytest.raises(ValueError, match="4, 4"):
        motion_supervision(torch.eye(4)[None], torch.eye(3)[None])


def test_sparse_points_by_hand() -> None:
    """Two images: one with a single point, one with two; the third knows nothing."""
    depth = torch.stack([_image(2.0, 5.0, 7.0, 9.0)[0]] * 3)
    sparse = torch.stack([
        _image(4.0, 0.0, NAN, INF)[0], _image(-1.0, 5.0, 7 * math.e, 101.0)[0],
        _image(0.0, 0.0, NAN, 120.0)[0],
    ])  # fmt: skip
    expected = (math.log(2) + 1 / 2) / 2
    assert float(sparse_depth_loss(depth, sparse)) == pytest.approx(expected, abs=1e-12)
    single = sparse_depth_loss(depth.float(), sparse.float())
    assert single.dtype == torch.float32 and float(single) == pytest.approx(expected, abs=1e-6)
    farther = sparse_depth_loss(depth[2:], sparse[2:], max_depth=150.0)
    assert float(farther) == pytest.approx(math.log(120 / 9))


def test_unmeasured_pixels_have_no_gradient_whatever_is_predicted() -> None:
    depth = _image(2.0, 5.0, 0.0, 9.0).requires_grad_()
    loss = sparse_depth_loss(depth, _image(4.0, 0.0, NAN, INF))
    loss.backward()
    assert depth.grad is not None
    assert depth.grad.flatten().tolist() == pytest.approx([-0.5, 0, 0, 0])
    assert float(sparse_depth_loss(depth.detach(), _image(0.0, 0.0, NAN, INF))) == 0.0
    given = _image(2.0, 5.0, 7.0, 9.0).requires_grad_()
    truth = _image(4.0, 0.0, NAN, 3.0)
    assert torch.autograd.gradcheck(lambda d: sparse_depth_loss(d, truth), (given,))


def test_wrong_shapes_of_sparse_depth_are_refused() -> None:
    with pytest.raises(ValueError, match="sparse"):
        sparse_depth_loss(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 4, 4))
