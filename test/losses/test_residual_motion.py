# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Regularisers of residual motion by loops and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.geometry.se3 import invert_transform, motion_to_transform
from sfm_depth_ros.losses.residual_motion import (
    motion_cycle,
    residual_smoothness,
    residual_sparsity,
)

BATCH, SOURCES, HEIGHT, WIDTH = 2, 2, 4, 5


def _field(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (BATCH, SOURCES, 3, HEIGHT, WIDTH)
    return torch.rand(*shape, generator=generator, dtype=torch.float64) - 0.5


def _motions(seed: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    motion = torch.rand(BATCH, SOURCES, 6, generator=generator, dtype=torch.float64) - 0.5
    return motion_to_transform(motion)


def test_sparsity_equals_the_reference() -> None:
    field = _field()
    values = []
    for b, s, c in np.ndindex(BATCH, SOURCES, 3):
        sizes = np.abs(field[b, s, c].numpy())
        values.append((2 * sizes.mean() * np.sqrt(1 + sizes / sizes.mean())).mean())
    assert float(residual_sparsity(field)) == pytest.approx(np.mean(values), abs=1e-12)
    single = residual_sparsity(field.float())
    assert single.dtype == torch.float32
    assert float(single) == pytest.approx(np.mean(values), abs=1e-6)


def test_the_same_motion_is_cheaper_in_one_place() -> None:
    spread = torch.full((1, 1, 3, 4, 4), 0.1, dtype=torch.float64)
    gathered = torch.zeros_like(spread)
    gathered[..., 0, 0] = 1.6
    assert float(residual_sparsity(gathered)) < float(residual_sparsity(spread))


def test_sparsity_gradients_hold_the_mean_fixed() -> None:
    field = _field().requires_grad_()
    (gradient,) = torch.autograd.grad(residual_sparsity(field), field)
    size = field.detach().abs()
    mean = size.mean((-2, -1), keepdim=True)
    expected = field.detach().sign() / torch.sqrt(1 + size / mean) / field.numel()
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_motion_costs_nothing_and_has_a_finite_gradient(dtype: torch.dtype) -> None:
    field = torch.zeros(1, 2, 3, 4, 5, dtype=dtype, requires_grad=True)
    for loss in (residual_sparsity(field), residual_smoothness(field)):
        (gradient,) = torch.autograd.grad(loss, field)
        assert loss.dtype == dtype and float(loss.detach()) == pytest.approx(0, abs=1e-15)
        assert (gradient == 0).all()


@pytest.mark.parametrize("wrap_around", [False, True])
def test_smoothness_equals_the_reference(wrap_around: bool) -> None:
    field = _field()
    lengths = []
    for b, s, c, v, u in np.ndindex(*field.shape):
        if not wrap_around and 0 in (v, u):
            continue
        f = field[b, s, c].numpy()
        lengths.append(np.hypot(f[v, u] - f[v, u - 1], f[v, u] - f[v - 1, u]))
    value = residual_smoothness(field, wrap_around)
    assert float(value) == pytest.approx(np.mean(lengths), abs=1e-12)


def test_smoothness_gradients() -> None:
    field = _field()[:1, :1].contiguous().requires_grad_()
    for wrap in (False, True):
        assert torch.autograd.gradcheck(
            lambda f, wrap=wrap: residual_smoothness(f, wrap), (field,)
        )


def _cycle_reference(
    there: Tensor, field: Tensor, back: Tensor, reverse: Tensor, valid: Tensor
) -> tuple[float, float]:
    rotations, translations = [], []
    for b, s in np.ndindex(BATCH, SOURCES):
        R, R_back = there[b, s, :3, :3].numpy(), back[b, s, :3, :3].numpy()
        turned = ((R - np.eye(3)) ** 2).sum() + ((R_back - np.eye(3)) ** 2).sum()
        rotations.append(((R_back @ R - np.eye(3)) ** 2).sum() / turned)
        for v, u in np.ndindex(HEIGHT, WIDTH):
            t = there[b, s, :3, 3].numpy() + field[b, s, :, v, u].numpy()
            t_back = back[b, s, :3, 3].numpy() + reverse[b, s, :, v, u].numpy()
            miss = R_back @ t + t_back
            way = (t**2).sum() + (t_back**2).sum()
            translations.append(float(valid[b, s, v, u]) * (miss**2).sum() / way)
    return float(np.mean(rotations)), float(np.mean(translations))


def test_cycle_equals_the_reference() -> None:
    there, back, field, reverse = _motions(), _motions(6), _field(), _field(1)
    valid = _field(2)[:, :, 0] > 0
    expected = _cycle_reference(there, field, back, reverse, valid)
    found = motion_cycle(there, field, back, reverse, valid)
    assert [float(x) for x in found] == pytest.approx(expected, abs=1e-6)
    still = torch.zeros_like(field)
    expected = _cycle_reference(there, still, back, still, valid)
    found = motion_cycle(there, None, back, None, valid)
    assert [float(x) for x in found] == pytest.approx(expected, abs=1e-6)


def test_a_true_way_back_costs_nothing() -> None:
    there, field = _motions(), _field()
    back = invert_transform(there)
    reverse = -(back[..., :3, :3] @ field.flatten(3)).view_as(field)
    valid = torch.ones(BATCH, SOURCES, HEIGHT, WIDTH, dtype=torch.bool)
    rotation, translation = motion_cycle(there, field, back, reverse, valid)
    assert float(rotation) < 1e-20 and float(translation) < 1e-20
    # Nor does it pay to move less: a cycle that misses by as much as it moves costs the same.
    small, large = (
        motion_cycle(T, None, T, None, valid)[1]
        for T in (
            motion_to_transform(torch.tensor([0, 0, z, 0, 0, 0]).double().expand(2, 2, 6))
            for z in (0.1, 1.0)
        )
    )
    assert float(small) == pytest.approx(float(large), rel=1e-4) == pytest.approx(2.0, rel=1e-4)


def test_cycle_gradients() -> None:
    there, back = _motions()[:1, :1].contiguous(), _motions(6)[:1, :1].contiguous()
    given = (there, _field()[:1, :1].contiguous(), back, _field(1)[:1, :1].contiguous())
    valid = _field(2)[:1, :1, 0] > 0
    assert torch.autograd.gradcheck(
        lambda *x: motion_cycle(*x, valid), tuple(x.requires_grad_() for x in given)
    )


def test_standing_still_has_a_finite_gradient() -> None:
    T = torch.eye(4).repeat(1, 1, 1, 1).requires_grad_()
    field = torch.zeros(1, 1, 3, 2, 2, requires_grad=True)
    rotation, translation = motion_cycle(T, field, T, field, torch.ones(1, 1, 2, 2))
    (rotation + translation).backward()
    assert rotation.item() == translation.item() == 0.0
    for given in (T, field):
        assert given.grad is not None and given.grad.isfinite().all()


def test_wrong_shapes_are_refused() -> None:
    valid = torch.ones(BATCH, SOURCES, HEIGHT, WIDTH)
    for regulariser in (residual_sparsity, residual_smoothness):
        with pytest.raises(ValueError, match="field"):
            regulariser(torch.ones(2, 3, 4, 5))
    with pytest.raises(ValueError, match="T_target_source"):
        motion_cycle(_motions(), None, _motions()[:1], None, valid)
    with pytest.raises(ValueError, match="field"):
        motion_cycle(_motions(), _field()[..., 1:], _motions(), None, valid)
