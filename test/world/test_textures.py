# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The atlas: tileable, anti-aliased, with the statistics of natural images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfm_depth_ros.world.noise import noise
from sfm_depth_ros.world.textures import TILE, build_atlas, build_ripmap, sample


def _sample(tile: int, u: torch.Tensor, v: torch.Tensor, footprint: tuple[float, float]):
    index = torch.full(u.shape, tile, dtype=torch.int32)
    sizes = [torch.full_like(u, size) for size in footprint]
    return sample(build_atlas(0), index, u, v, *sizes)


def test_noise_has_the_spectrum_of_natural_images() -> None:
    field = noise(np.random.default_rng(0), 1.0)
    power = np.abs(np.fft.fft2(field)) ** 2
    radius = np.hypot(*np.meshgrid(*[np.fft.fftfreq(256) * 256] * 2))
    bands = [power[(radius > r) & (radius < 2 * r)].mean() for r in (4, 8, 16, 32)]
    slopes = np.diff(np.log2(bands))
    assert np.allclose(slopes, -2.0, atol=0.35)
    assert field.std() == pytest.approx(1.0, rel=1e-3)


def test_texel_centres_are_returned_exactly_and_tiles_wrap() -> None:
    atlas = build_atlas(0)
    tile = atlas.names["brick"]
    centre = torch.tensor([0.5 / TILE, 100.5 / TILE])
    zero = torch.zeros(2)
    colour = _sample(tile, centre, zero + 0.5 / TILE, (0.001, 0.001))
    wrapped = _sample(tile, centre + 3.0, zero + 0.5 / TILE - 2.0, (0.001, 0.001))
    assert torch.allclose(colour, wrapped, atol=1e-2)
    first = atlas.texels[tile * (2 * TILE - 1) ** 2 :][[0, 100]].view(torch.uint8).view(2, 4)
    assert torch.allclose(colour.T, first[:, :3].float() / 255, atol=1e-2)


def test_ripmap_levels_average() -> None:
    tile = np.random.default_rng(0).random((TILE, TILE, 3)).astype(np.float32)
    packed = build_ripmap(tile).view(np.uint8).reshape(-1, 4)[:, :3]
    assert np.allclose(packed[-1] / 255, tile.mean((0, 1)), atol=0.01)
    coarse_u = packed[TILE * TILE : TILE * TILE + TILE * TILE // 2].reshape(TILE, TILE // 2, 3)
    expected = 0.5 * (tile[:, 0::2] + tile[:, 1::2])
    assert np.abs(coarse_u / 255 - expected).max() < 0.01


def test_wide_footprints_blur_only_their_own_direction() -> None:
    atlas = build_atlas(0)
    tile = atlas.names["planks"]  # boards stand upright: contrast lies across them
    u = torch.linspace(0, 1, 200)
    v = torch.full_like(u, 0.3)
    sharp = _sample(tile, u, v, (0.001, 0.001)).std(1).mean()
    along = _sample(tile, u, v, (0.001, 1.0)).std(1).mean()
    across = _sample(tile, u, v, (1.0, 0.001)).std(1).mean()
    assert along > 0.5 * sharp
    assert across < 0.1 * sharp
