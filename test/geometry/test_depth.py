# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Disparity, depth and inverse depth."""

from __future__ import annotations

import pytest
import torch

from sfm_depth_ros.geometry.depth import disparity_to_depth, inverse_depth


def test_ends_and_middle_of_the_range() -> None:
    disparity = torch.tensor([0.0, 1.0, 0.5], dtype=torch.float64)
    depth = disparity_to_depth(disparity, 0.1, 100.0)
    assert depth.tolist() == pytest.approx([100.0, 0.1, 1 / (0.01 + 9.99 / 2)])


def test_inverse_depth_is_linear_in_disparity() -> None:
    disparity = torch.linspace(0, 1, 50, dtype=torch.float64)
    inverse = inverse_depth(disparity_to_depth(disparity, 0.1, 100.0))
    torch.testing.assert_close(inverse, torch.linspace(0.01, 10.0, 50, dtype=torch.float64))


def test_inverse_depth_is_bounded() -> None:
    assert inverse_depth(torch.tensor([4.0, 0.0])).tolist() == pytest.approx([0.25, 1e6])


def test_gradients() -> None:
    values = torch.linspace(0.2, 0.9, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: disparity_to_depth(x, 0.1, 10.0), (values,))
    assert torch.autograd.gradcheck(inverse_depth, (values,))


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (2.0, 1.0), (1.0, 1.0)])
def test_impossible_ranges_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="min_depth < max_depth"):
        disparity_to_depth(torch.zeros(1), *bounds)
