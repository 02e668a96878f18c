# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A texture atlas: square tileable tiles with ripmaps, so that sampling never aliases."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

TILE = 256
LEVELS = 9  # 256, 128, ..., 1
TILE_STRIDE = (2 * TILE - 1) ** 2


@dataclass(frozen=True)
class Atlas:
    """Texture tiles in one flat array.

    A ripmap (one image for each pair of horizontal and vertical reductions) is kept, not a mipmap:
    roads and facades are seen at grazing angles, where a mipmap blurs everything.
    """

    # `(tiles * TILE_STRIDE,)` int32, RGBA bytes; colours are square roots of reflectance, rows run
    # upwards
    texels: Tensor
    names: dict[str, int]  # Tile index by name
    sizes: dict[str, tuple[float, float]]  # `(width, height)` of a tile in metres by name

    def to(self, device: str) -> Atlas:
        """The same atlas on another device."""
        return Atlas(self.texels.to(device), self.names, self.sizes)


def build_ripmap(tile: np.ndarray) -> np.ndarray:
    """All reductions of one tile.

    Args:
        tile: ``(TILE, TILE, 3)`` float in [0, 1].

    Returns:
        ``(TILE_STRIDE,)`` int32 of packed RGBA bytes, horizontal reductions within vertical ones.
    """
    parts = []
    rows = tile.astype(np.float32)
    for _ in range(LEVELS):
        level = rows
        for i in range(LEVELS):
            if i:
                level = 0.5 * (level[:, 0::2] + level[:, 1::2])
            parts.append(np.rint(level.reshape(-1, 3) * 255))
        if rows.shape[0] > 1:
            rows = 0.5 * (rows[0::2] + rows[1::2])
    flat = np.full((TILE_STRIDE, 4), 255, np.uint8)
    flat[:, :3] = np.clip(np.concatenate(parts), 0, 255)
    return flat.view(np.int32).reshape(-1)


@lru_cache(maxsize=16)
def build_atlas(seed: int) -> Atlas:
    """Paint every tile for a seed (about a second); the last sixteen are remembered."""
    from sfm_depth_ros.world.painters import PAINTERS

    rng = np.random.default_rng([seed, 0x7E])
    names: dict[str, int] = {}
    sizes: dict[str, tuple[float, float]] = {}
    packed: list[np.ndarray] = []
    for name, (painter, size) in PAINTERS.items():
        names[name] = len(packed)
        sizes[name] = size
        packed.append(build_ripmap(np.clip(painter(rng), 0.0, 1.0)[::-1]))
    return Atlas(torch.from_numpy(np.concatenate(packed)), names, sizes)


def sample(
    atlas: Atlas, tile: Tensor, u: Tensor, v: Tensor, footprint_u: Tensor, footprint_v: Tensor
) -> Tensor:
    """Bilinear lookup at the ripmap level of the pixel's footprint.

    Args:
        atlas: The tiles.
        tile: ``(P,)`` int32 tile index.
        u: ``(P,)`` horizontal position, one unit a tile, wraps.
        v: ``(P,)`` vertical position, likewise.
        footprint_u: ``(P,)`` width of the pixel on the texture, in tiles.
        footprint_v: ``(P,)`` its height, in tiles.

    Returns:
        ``(3, P)`` float32 colour in [0, 1].
    """
    level_u, level_v = _level(footprint_u), _level(footprint_v)
    width, height = TILE >> level_u, TILE >> level_v
    # Levels are stored row by row: offset of level (v, u) in closed form.
    base = tile * TILE_STRIDE + (2 * TILE - 1) * 2 * (TILE - height) + 2 * height * (TILE - width)
    x, y = u * width - 0.5, v * height - 0.5
    x0, y0 = torch.floor(x), torch.floor(y)
    fx, fy = x.sub_(x0).mul_(256), y.sub_(y0)
    x0, y0 = x0.int(), y0.int()
    left, right = x0 & (width - 1), (x0 + 1) & (width - 1)
    low, high = base + (y0 & (height - 1)) * width, base + ((y0 + 1) & (height - 1)) * width
    index = torch.cat([low + left, low + right, high + left, high + right])
    words = atlas.texels.index_select(0, index).view(4, -1)
    return _blend(words, _weights(fx, fy))


def _weights(fx: Tensor, fy: Tensor) -> Tensor:
    """Bilinear weights ``(4, P)`` int32 that sum to 256, from fx * 256 and fy."""
    both, right, top = (fx * fy).int(), fx.int(), (fy * 256).int()
    return torch.stack([256 - right - top + both, right - both, top - both, both])


def _blend(words: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of packed colours, two channels to an integer multiplication."""
    pair = ((words & 0xFF00FF) * weights).sum(0, dtype=torch.int32)
    green = (((words >> 8) & 0xFF) * weights).sum(0, dtype=torch.int32)
    return torch.stack([pair & 0xFFFF, green, (pair >> 16) & 0xFFFF]).float().mul_(1 / 65280)


def _level(footprint: Tensor) -> Tensor:
    """Ripmap level whose texel is as wide as the footprint or a little wider, as optics blur.

    The logarithm is read from the exponent of the float.
    """
    texels = (footprint * (TILE * 2**0.8)).clamp_(1.0, float(TILE))
    return (texels.view(torch.int32) >> 23) - 127
