# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rigid motions on tensors, against the numpy ones and by finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sfm_depth_ros.geometry import frames
from sfm_depth_ros.geometry.se3 import (
    axis_angle_to_matrix,
    compose,
    compose_transform,
    invert_transform,
    matrix_to_axis_angle,
    motion_to_transform,
)

VECTORS = torch.tensor(
    [
        [0.0, 0.0, 0.0],
        [1e-9, 0.0, -1e-9],
        [0.0099, 0.0, 0.0],
        [0.0, 0.0101, 0.0],
        [0.3, -0.2, 0.9],
        [1.7, 1.9, -1.5],
        [0.0, math.pi - 1e-6, 0.0],
    ],
    dtype=torch.float64,
)


def test_rotations_equal_the_numpy_ones() -> None:
    expected = np.stack([frames.rotation_matrix(vector) for vector in VECTORS.numpy()])
    np.testing.assert_allclose(axis_angle_to_matrix(VECTORS).numpy(), expected, atol=1e-15)


def test_rotation_round_trip() -> None:
    vectors = matrix_to_axis_angle(axis_angle_to_matrix(VECTORS))
    torch.testing.assert_close(vectors, VECTORS, atol=1e-12, rtol=1e-9)


def test_float32_is_accurate_for_small_turns() -> None:
    vector = torch.tensor([[0.003, -0.001, 0.002]])
    rotation = axis_angle_to_matrix(vector)
    torch.testing.assert_close(rotation.double(), axis_angle_to_matrix(vector.double()),
                               atol=1e-7, rtol=0)  # fmt: skip
    torch.testing.assert_close(matrix_to_axis_angle(rotation), vector, atol=1e-7, rtol=1e-4)


def test_leading_shapes_are_kept() -> None:
    assert axis_angle_to_matrix(torch.zeros(3)).shape == (3, 3)
    assert motion_to_transform(torch.zeros(2, 5, 6)).shape == (2, 5, 4, 4)
    assert matrix_to_axis_angle(torch.eye(3).expand(2, 5, 3, 3)).shape == (2, 5, 3)


def test_motion_order_is_translation_then_rotation() -> None:
    transform = motion_to_transform(torch.tensor([1.0, 2.0, 3.0, 0.0, 0.0, math.pi / 2]))
    point = transform @ torch.tensor([1.0, 0.0, 0.0, 1.0])
    torch.testing.assert_close(point, torch.tensor([1.0, 3.0, 3.0, 1.0]))


def test_inverse_and_composition() -> None:
    generator = torch.Generator().manual_seed(1)
    T_a_b, T_b_c = motion_to_transform(
        torch.randn(2, 4, 6, generator=generator, dtype=torch.float64)
    )
    torch.testing.assert_close(compose(T_a_b, invert_transform(T_a_b)),
                               torch.eye(4, dtype=torch.float64).expand(4, 4, 4),
                               atol=1e-14, rtol=0)  # fmt: skip
    torch.testing.assert_close(invert_transform(compose(T_a_b, T_b_c)),
                               compose(invert_transform(T_b_c), invert_transform(T_a_b)),
                               atol=1e-14, rtol=0)  # fmt: skip
    expected = frames.invert(T_a_b[0].numpy())
    np.testing.assert_allclose(invert_transform(T_a_b)[0].numpy(), expected, atol=1e-14)


def test_compose_transform_places_its_parts() -> None:
    transform = compose_transform(torch.eye(3) * 2, torch.tensor([1.0, 2.0, 3.0]))
    assert transform.tolist() == [[2, 0, 0, 1], [0, 2, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1]]


def test_gradients_at_zero_too() -> None:
    vectors = VECTORS[:6].clone().requires_grad_()
    assert torch.autograd.gradcheck(axis_angle_to_matrix, (vectors,))
    motions = torch.cat([vectors.detach() + 1, vectors.detach()], 1).requires_grad_()
    assert torch.autograd.gradcheck(motion_to_transform, (motions,))
    transforms = motion_to_transform(motions).detach().requires_grad_()
    assert torch.autograd.gradcheck(invert_transform, (transforms,))


def test_gradient_of_the_angle_between_rotations() -> None:
    vectors = VECTORS[:6].clone().requires_grad_()

    def back_and_forth(vectors: torch.Tensor) -> torch.Tensor:
        return matrix_to_axis_angle(axis_angle_to_matrix(vectors))

    assert torch.autograd.gradcheck(back_and_forth, (vectors,))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="axis_angle"):
        axis_angle_to_matrix(torch.zeros(4))
    with pytest.raises(ValueError, match="motion"):
        motion_to_transform(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="rotation"):
        matrix_to_axis_angle(torch.zeros(4, 4))
