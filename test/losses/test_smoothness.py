# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Edge-aware smoothness against a numpy reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.losses.smoothness import edge_aware_smoothness


def _double(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def _reference(inverse_depth: np.ndarray, image: np.ndarray) -> float:
    normalised = inverse_depth / inverse_depth.mean((2, 3), keepdims=True)
    total = 0.0
    for axis in (2, 3):
        edges = np.abs(np.diff(image, axis=axis)).mean(1, keepdims=True)
        total += (np.abs(np.diff(normalised, axis=axis)) * np.exp(-edges)).mean()
    return float(total)


def test_value_equals_the_reference() -> None:
    inverse, image = 0.1 + _double(2, 1, 6, 8), _double(2, 3, 6, 8, seed=1)
    value = edge_aware_smoothness(inverse, image)
    assert float(value) == pytest.approx(_reference(inverse.numpy(), image.numpy()), abs=1e-12)


def test_one_step_by_hand() -> None:
    inverse = torch.tensor([[1.0, 3.0]], dtype=torch.float64).view(1, 1, 1, 2)
    image = torch.tensor([[0.0, 0.5]], dtype=torch.float64).view(1, 1, 1, 2).repeat(1, 3, 1, 1)
    # Normalised by the mean 2: a step of 1, weighed by exp(-0.5); one row has no vertical step.
    assert float(edge_aware_smoothness(inverse, image)) == pytest.approx(np.exp(-0.5))


def test_scale_of_inverse_depth_does_not_matter() -> None:
    inverse, image = 0.1 + _double(2, 1, 6, 8), _double(2, 3, 6, 8, seed=1)
    torch.testing.assert_close(
        edge_aware_smoothness(inverse * 7, image), edge_aware_smoothness(inverse, image)
    )


def test_constant_depth_is_smooth() -> None:
    assert float(edge_aware_smoothness(torch.ones(1, 1, 4, 4), torch.rand(1, 3, 4, 4))) == 0.0


def test_gradients() -> None:
    inverse, image = (0.1 + _double(1, 1, 4, 5)).requires_grad_(), _double(1, 3, 4, 5, seed=1)
    assert torch.autograd.gradcheck(lambda x: edge_aware_smoothness(x, image), (inverse,))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="inverse_depth"):
        edge_aware_smoothness(torch.ones(1, 1, 4, 4), torch.ones(1, 3, 4, 5))
    with pytest.raises(ValueError, match="inverse_depth"):
        edge_aware_smoothness(torch.ones(1, 3, 4, 4), torch.ones(1, 3, 4, 4))
