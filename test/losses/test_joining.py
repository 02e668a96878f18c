# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of several sources joined to one per pixel."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sfm_depth_ros.losses.reprojection import reduce_sources


def _double(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def _row(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, len(values), 1, 1)


@pytest.mark.parametrize(
    ("errors", "valid", "identity", "reduction", "expected", "used"),
    [
        ((0.4, 0.2), (1, 1), None, "minimum", 0.2, True),
        ((0.4, 0.2), (1, 0), None, "minimum", 0.4, True),
        ((0.4, 0.2), (0, 0), None, "minimum", 0.0, False),
        ((0.4, 0.2), (1, 1), (0.3, 0.1), "minimum", 0.1, True),
        ((0.4, 0.2), (1, 0), (0.5, 0.6), "minimum", 0.4, True),
        ((0.4, 0.2), (0, 0), (0.5, 0.6), "minimum", 0.5, True),
        ((0.4, 0.2), (1, 1), None, "mean", 0.3, True),
        ((0.4, 0.2), (0, 1), None, "mean", 0.2, True),
        ((0.4, 0.2), (0, 0), None, "mean", 0.0, False),
        ((0.4, 0.2), (1, 1), (0.1, 0.3), "mean", 0.2, True),
        ((0.4, 0.2), (0, 0), (0.1, 0.3), "mean", 0.2, True),
    ],
)
def test_sources_are_joined(
    errors: tuple[float, ...],
    valid: tuple[int, ...],
    identity: tuple[float, ...] | None,
    reduction: str,
    expected: float,
    used: bool,
) -> None:
    unwarped = None if identity is None else _row(*identity)
    joined, mask = reduce_sources(_row(*errors), _row(*valid).bool(), unwarped, reduction)
    assert joined.shape == mask.shape == (1, 1, 1, 1)
    assert float(joined) == pytest.approx(expected)
    assert bool(mask) is used


def test_ties_go_to_the_unwarped_source() -> None:
    errors = torch.zeros(1, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    valid = torch.ones(1, 2, 2, 2, dtype=torch.bool)
    joined, _ = reduce_sources(errors, valid, torch.zeros_like(errors).detach(), "minimum")
    joined.sum().backward()
    assert errors.grad is not None and (errors.grad == 0).all()


@pytest.mark.parametrize("reduction", ["minimum", "mean"])
def test_gradients_stay_finite_where_nothing_is_valid(reduction: str) -> None:
    for identity in (None, torch.rand(1, 2, 3, 3, dtype=torch.float64)):
        errors = _double(1, 2, 3, 3).requires_grad_()
        valid = torch.zeros(1, 2, 3, 3, dtype=torch.bool)
        valid[..., 0] = True
        joined, _ = reduce_sources(errors, valid, identity, reduction)
        joined.sum().backward()
        assert errors.grad is not None and errors.grad.isfinite().all()
        assert (errors.grad[..., 1:] == 0).all()


def test_unknown_reduction_and_shapes_are_refused() -> None:
    errors, valid = _double(1, 2, 3, 3), torch.ones(1, 2, 3, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match="reduction"):
        reduce_sources(errors, valid, None, "median")
    with pytest.raises(ValueError, match="errors and valid"):
        reduce_sources(errors, valid[:, :1], None, "minimum")


@pytest.mark.parametrize(
    ("reduction", "identity", "expected"),
    [
        ("minimum", None, 0.2 * 0.5),
        ("mean", None, (0.4 * 0.25 + 0.2 * 0.5) / 2),
        ("minimum", (0.3, 0.15), 0.15),  # 0.2 * 0.5 is less, but doubt wins nothing
        ("mean", (0.3, 0.4), (0.4 * 0.25 + 0.2 * 0.5) / 2),
    ],
)
def test_weights_scale_what_a_source_says_and_choose_nothing(
    reduction: str, identity: tuple[float, ...] | None, expected: float
) -> None:
    unwarped = None if identity is None else _row(*identity)
    joined, _ = reduce_sources(
        _row(0.4, 0.2), _row(1, 1).bool(), unwarped, reduction, _row(0.25, 0.5)
    )
    assert float(joined) == pytest.approx(expected)


@pytest.mark.parametrize("reduction", ["minimum", "mean"])
@pytest.mark.parametrize("with_identity", [True, False])
def test_weights_of_one_change_nothing(reduction: str, with_identity: bool) -> None:
    errors, valid = _double(2, 2, 4, 5), _double(2, 2, 4, 5, seed=1) > 0.4
    identity = _double(2, 2, 4, 5, seed=2) if with_identity else None
    plain = reduce_sources(errors, valid, identity, reduction)
    weighted = reduce_sources(errors, valid, identity, reduction, torch.ones_like(errors))
    assert torch.equal(plain[0], weighted[0]) and torch.equal(plain[1], weighted[1])


@pytest.mark.parametrize("reduction", ["minimum", "mean"])
def test_gradients_reach_the_weights_and_stay_finite(reduction: str) -> None:
    errors, weights = _double(1, 2, 3, 3).requires_grad_(), _double(1, 2, 3, 3).requires_grad_()
    valid = torch.zeros(1, 2, 3, 3, dtype=torch.bool)
    valid[..., 0] = True
    joined, _ = reduce_sources(errors, valid, None, reduction, weights)
    joined.sum().backward()
    for tensor in (errors, weights):
        assert tensor.grad is not None and tensor.grad.isfinite().all()
        assert (tensor.grad[..., 0] != 0).any() and (tensor.grad[..., 1:] == 0).all()
