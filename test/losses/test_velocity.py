# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The velocity loss by hand."""

from __future__ import annotations

import pytest
import torch

from sfm_depth_ros.losses.velocity import velocity_loss

TRANSLATIONS = torch.tensor(
    [[[3.0, 0.0, 4.0], [0.0, 0.0, -1.0]], [[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]]],
    dtype=torch.float64,
)
NAN = float("nan")


def test_mean_over_known_displacements() -> None:
    measured = torch.tensor([[4.0, 1.5], [2.0, 0.25]], dtype=torch.float64)
    assert float(velocity_loss(TRANSLATIONS, measured)) == pytest.approx((1 + 0.5 + 0 + 0.25) / 4)
    measured[0, 1] = NAN
    measured[1, 1] = float("inf")
    assert float(velocity_loss(TRANSLATIONS, measured)) == pytest.approx(0.5)


def test_nothing_known_is_zero_with_zero_gradient() -> None:
    translations = TRANSLATIONS.clone().requires_grad_()
    loss = velocity_loss(translations, torch.full((2, 2), NAN, dtype=torch.float64))
    loss.backward()
    assert loss.item() == 0.0
    assert translations.grad is not None and (translations.grad == 0).all()


def test_gradients_leave_unknown_ones_alone() -> None:
    translations = TRANSLATIONS.clone().requires_grad_()
    velocity_loss(translations, torch.tensor([[4.0, NAN], [3.0, 1.0]]).double()).backward()
    assert translations.grad is not None
    # Too long is shortened, too short is lengthened, zero has no direction, unknown is left.
    third = torch.tensor([[[0.6, 0, 0.8], [0, 0, 0]], [[0, -1, 0], [0, 0, 0]]]).double() / 3
    torch.testing.assert_close(translations.grad, third)
    moving = (TRANSLATIONS + 0.1).requires_grad_()
    measured = torch.tensor([[4.0, NAN], [3.0, 1.0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda t: velocity_loss(t, measured), (moving,))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="translations"):
        velocity_loss(TRANSLATIONS, torch.zeros(2, 3))
