# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes in units of their own range."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.se3 import motion_to_transform
from sfm_depth_ros.geometry.warping import warp_sources
from sfm_depth_ros.losses.range_normalisation import (
    median_depth,
    translation_normalised,
)


def _double(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def _motions() -> Tensor:
    return motion_to_transform((_double(2, 2, 6, seed=5) - 0.5) * 0.3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_median_of_what_is_known(dtype: torch.dtype) -> None:
    depth = (1 + 9 * _double(2, 1, 5, 7)).to(dtype)
    median = median_depth(depth)
    assert median.dtype == dtype and median.shape == (2, 1, 1, 1)
    assert median.flatten().tolist() == np.median(depth.flatten(1).numpy(), axis=1).tolist()
    broken = torch.tensor([0.0, -1, math.nan, math.inf, 2, 4, 3], dtype=dtype).view(1, 1, 1, 7)
    assert median_depth(broken).item() == 3.0
    assert median_depth(torch.zeros(1, 1, 2, 2, dtype=dtype)).item() == 1.0


def test_a_scene_ten_times_larger_is_the_same_scene() -> None:
    depth, T = 1 + 9 * _double(2, 1, 5, 7), _motions()
    larger = T.clone()
    larger[..., :3, 3] *= 10
    median, larger_median = median_depth(depth), median_depth(10 * depth)
    torch.testing.assert_close(larger_median, 10 * median)
    torch.testing.assert_close(
        translation_normalised(T, median), translation_normalised(larger, larger_median)
    )
    assert median_depth(depth / median).flatten().tolist() == pytest.approx([1, 1])


def test_only_translations_are_divided_and_warps_stay() -> None:
    depth, T = 1 + 9 * _double(2, 1, 5, 7), _motions()
    median = median_depth(depth)
    inner = translation_normalised(T, median)
    assert torch.equal(inner[..., :3, :3], T[..., :3, :3])
    assert torch.equal(inner[..., 3, :], T[..., 3, :])
    expected = T[..., :3, 3] / median.view(2, 1, 1)
    torch.testing.assert_close(inner[..., :3, 3], expected)
    K = torch.tensor([[8.0, 0, 3], [0, 8, 2], [0, 0, 1]], dtype=torch.float64).repeat(2, 1, 1)
    sources = _double(2, 2, 3, 5, 7, seed=2)
    metric = warp_sources(sources, backproject(depth, K), K, T)
    relative = warp_sources(sources, backproject(depth / median, K), K, inner)
    torch.testing.assert_close(metric.image, relative.image, atol=1e-12, rtol=0)


def test_gradients_hold_the_unit_fixed() -> None:
    depth = (1 + 9 * _double(2, 1, 3, 3)).requires_grad_()
    median = median_depth(depth)
    (gradient,) = torch.autograd.grad((depth / median).sum(), depth)
    torch.testing.assert_close(gradient, (1 / median).expand_as(depth))
    T = _motions().requires_grad_()
    assert torch.autograd.gradcheck(lambda t: translation_normalised(t, median), (T,))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="depth"):
        median_depth(torch.ones(2, 5, 7))
    with pytest.raises(ValueError, match="median"):
        translation_normalised(_motions(), torch.ones(2))
