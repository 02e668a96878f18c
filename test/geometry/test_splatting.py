# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Forward splatting against a painter's loop, and surfaces without holes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.geometry.warping import splat_depth, surface_step

NAN = float("nan")


def _double(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def _step(values: np.ndarray, index: int) -> float:
    others = [i for i in (index - 1, index + 1) if 0 <= i < len(values)]
    return min(abs(values[i] - values[index]) for i in others)


def _reference(
    pixels: np.ndarray, depth: np.ndarray, valid: np.ndarray, height: int, width: int
) -> np.ndarray:
    buffer = np.full((len(depth), height, width), np.inf)
    for n, v, u in np.ndindex(*depth.shape):
        if not valid[n, v, u]:
            continue
        x, y = pixels[n, v, u]
        half_x = np.clip(_step(pixels[n, v, :, 0], u), 1, 2) / 2
        half_y = np.clip(_step(pixels[n, :, u, 1], v), 1, 2) / 2
        for row, column in np.ndindex(height, width):
            if -half_x <= column - x < half_x and -half_y <= row - y < half_y:
                buffer[n, row, column] = min(buffer[n, row, column], depth[n, v, u])
    return buffer


def _pixels(height: int, width: int) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([columns, rows], -1).double()[None]


@pytest.mark.parametrize("stretch", [0.6, 1.0, 1.7])
def test_buffer_equals_the_reference(stretch: float) -> None:
    pixels = stretch * (_pixels(6, 8).repeat(2, 1, 1, 1) - 3) + 3.3
    pixels += 0.4 * (_double(2, 6, 8, 2) - 0.5)
    depth, valid = 1 + 9 * _double(2, 6, 8, seed=1), _double(2, 6, 8, seed=2) > 0.2
    x, y = pixels.unbind(-1)
    valid &= (x >= 0) & (x <= 8) & (y >= 0) & (y <= 6)
    found = splat_depth(pixels, depth, valid, (7, 9))
    expected = _reference(pixels.numpy(), depth.numpy(), valid.numpy(), 7, 9)
    np.testing.assert_array_equal(found.numpy(), expected)
    assert np.isfinite(expected).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("magnification", [1.0, 1.3, 1.5, 1.99, 2.0])
def test_a_magnified_surface_has_no_holes(magnification: float, dtype: torch.dtype) -> None:
    pixels = (magnification * _pixels(7, 9) + 0.37).to(dtype)
    depth = torch.ones(1, 7, 9, dtype=dtype)
    size = (math.floor(magnification * 6 + 0.37), math.floor(magnification * 8 + 0.37))
    buffer = splat_depth(pixels, depth, torch.ones_like(depth, dtype=torch.bool), size)
    assert buffer.dtype == dtype
    inner = buffer[0, 1:, 1:]
    assert (inner == 1).all()


def test_the_nearest_wins_and_edges_are_not_bridged() -> None:
    """A near strip slides left by 5 pixels over a far wall; what it leaves stays empty."""
    pixels, depth = _pixels(3, 12), torch.full((1, 3, 12), 10.0, dtype=torch.float64)
    depth[..., 7:9] = 2.0
    pixels[..., 7:9, 0] -= 5
    buffer = splat_depth(pixels, depth, torch.ones_like(depth, dtype=torch.bool), (3, 12))
    expected = torch.full((12,), 10.0, dtype=torch.float64)
    expected[2:4] = 2.0
    expected[7:9] = torch.inf
    assert torch.equal(buffer[0], expected.repeat(3, 1))


def test_points_that_are_none_are_not_splatted() -> None:
    pixels, depth = _pixels(2, 3), torch.ones(1, 2, 3, dtype=torch.float64)
    pixels[0, 0, 0], depth[0, 0, 1] = NAN, NAN
    valid = torch.tensor([[[False, False, True], [True, True, True]]])
    buffer = splat_depth(pixels, depth, valid, (2, 3))
    assert buffer.flatten().tolist() == [math.inf, math.inf, 1, 1, 1, 1]


def test_steps_are_those_of_the_own_surface() -> None:
    values = torch.tensor([0.0, 1.0, 2.5, 9.0, 9.25])
    assert surface_step(values, 0).tolist() == [1.0, 1.0, 1.5, 0.25, 0.25]
    assert surface_step(values[:1], 0).tolist() == [0.0]


def test_wrong_shapes_are_refused() -> None:
    depth = torch.ones(1, 2, 3)
    with pytest.raises(ValueError, match="pixels"):
        splat_depth(torch.ones(1, 3, 2, 2), depth, depth > 0, (2, 3))
