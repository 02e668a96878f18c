# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The velocity loss by hand."""

from __future__ import annotations

import pytest
import torch

from sfm_depth_ros.geometry.se3 import motion_to_transform
from sfm_depth_ros.losses.velocity import rotation_loss, velocity_loss, velocity_vector_loss

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


def _transforms(translations: torch.Tensor) -> torch.Tensor:
    T = torch.eye(4, dtype=translations.dtype).repeat(*translations.shape[:-1], 1, 1)
    T[..., :3, 3] = translations
    return T


def test_distance_between_vectors_over_the_known_ones() -> None:
    measured = TRANSLATIONS.clone()
    measured[0, 0] = torch.tensor([3.0, 2.0, 4.0])
    measured[0, 1, 2] = 1.0  # as long as predicted, but the other way
    measured[1, 0, 1] = NAN
    measured[1, 1] = torch.tensor([0.0, 0.3, 0.4], dtype=torch.float64)
    loss = velocity_vector_loss(_transforms(TRANSLATIONS), _transforms(measured))
    assert float(loss) == pytest.approx((2 + 2 + 0.5) / 3, abs=1e-12)
    lengths = velocity_loss(TRANSLATIONS, measured.norm(dim=-1))
    assert float(lengths) < float(loss)


def test_vector_gradients_point_from_measured_to_predicted() -> None:
    T = _transforms(TRANSLATIONS + 0.1).requires_grad_()
    measured = _transforms(TRANSLATIONS)
    measured[0, 1] = NAN
    assert torch.autograd.gradcheck(lambda t: velocity_vector_loss(t, measured), (T,))
    velocity_vector_loss(T, measured).backward()
    assert T.grad is not None
    expected = torch.full((3,), 1 / 3 / 3**0.5, dtype=torch.float64)
    torch.testing.assert_close(T.grad[1, 1, :3, 3], expected)
    assert (T.grad[0, 1] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_exact_and_unknown_vectors_have_a_finite_gradient(dtype: torch.dtype) -> None:
    T = _transforms(TRANSLATIONS.to(dtype)).requires_grad_()
    for measured in (T.detach().clone(), torch.full_like(T, NAN)):
        loss = velocity_vector_loss(T, measured)
        assert loss.dtype == dtype and loss.item() == 0.0
        (gradient,) = torch.autograd.grad(loss, T)
        assert (gradient == 0).all()


def test_wrong_shapes_of_motions_are_refused() -> None:
    with pytest.raises(ValueError, match="measured"):
        velocity_vector_loss(_transforms(TRANSLATIONS), _transforms(TRANSLATIONS)[:1])


def _turns(*axis_angles: tuple[float, float, float]) -> torch.Tensor:
    motions = torch.tensor([[[9.0, 9.0, 9.0, *turn] for turn in axis_angles]], dtype=torch.float64)
    return motion_to_transform(motions)


def test_turns_are_compared_about_the_measured_axis() -> None:
    measured = _turns((0.0, 0.02, 0.0), (0.0, -0.03, 0.0))  # a planar odometer: yaw alone
    predicted = _turns((0.01, 0.025, 0.0), (0.0, 0.01, 0.0))
    assert float(rotation_loss(predicted, measured)) == pytest.approx((0.005 + 0.04) / 2, rel=1e-4)
    leaning = _turns((0.05, 0.02, 0.0), (0.0, -0.03, 0.04))  # what it does not measure is free
    assert float(rotation_loss(leaning, measured)) == pytest.approx(0.0, abs=1e-5)
    aslant = _turns((0.003, 0.004, 0.0), (0.0, -0.03, 0.0))  # an IMU: any axis
    predicted = _turns((0.0, 0.0, 0.0), (0.0, -0.03, 0.0))
    assert float(rotation_loss(predicted, aslant)) == pytest.approx(0.005 / 2, rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_turns_that_were_not_measured_teach_nothing(dtype: torch.dtype) -> None:
    predicted = _turns((0.01, 0.025, 0.0), (0.0, 0.01, 0.0)).to(dtype).requires_grad_()
    measured = _turns((0.0, 0.02, 0.0), (0.0, 0.0, 0.0)).to(dtype)  # zero: no gyroscope
    assert float(rotation_loss(predicted, measured).detach()) == pytest.approx(0.005, rel=1e-3)
    measured[0, 0] = NAN
    loss = rotation_loss(predicted, measured)
    (gradient,) = torch.autograd.grad(loss, predicted)
    assert loss.item() == 0.0 and (gradient == 0).all()


def test_gradient_of_turns() -> None:
    motions = torch.tensor([[[1.0, 2.0, 3.0, 0.01, -0.02, 0.03]]], dtype=torch.float64)
    measured = _turns((0.0, 0.02, 0.01))
    assert torch.autograd.gradcheck(
        lambda m: rotation_loss(motion_to_transform(m), measured), (motions.requires_grad_(),)
    )
