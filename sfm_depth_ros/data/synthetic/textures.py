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


@dataclass(frozen=True)
class Atlas:
    """Texture tiles in one flat array.

    A ripmap (one image for each pair of horizontal and vertical reductions) is kept, not a mipmap:
    roads and facades are seen at grazing angles, where a mipmap blurs everything.

    Attributes:
        texels: ``(tiles * TILE_STRIDE,)`` int32, RGBA bytes; colours are square roots of
            reflectance, rows run upwards.
        names: Tile index by name.
        sizes: ``(width, height)`` of a tile in metres by name.
    """

    texels: Tensor
    names: dict[str, int]
    sizes: dict[str, tuple[float, float]]

    def to(self, device: str) -> Atlas:
        """The same atlas on another device."""
        return Atlas(self.texels.to(device), self.names, self.sizes)


def _level_offsets() -> tuple[list[list[int]], int]:
    offsets, total = [], 0
    for j in range(LEVELS):
        offsets.append([])
        for i in range(LEVELS):
            offsets[j].append(total)
            total += (TILE >> j) * (TILE >> i)
    return offsets, total


LEVEL_OFFSETS, TILE_STRIDE = _level_offsets()


def build_ripmap(tile: np.ndarray) -> np.ndarray:
    """All reductions of one tile.

    Args:
        tile: ``(TILE, TILE, 3)`` float in [0, 1].

    Returns:
        ``(TILE_STRIDE,)`` int32 of packed RGBA bytes, levels in the order of ``LEVEL_OFFSETS``.
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


@lru_cache(maxsize=8)
def build_atlas(seed: int) -> Atlas:
    """Paint every tile for a seed (about a second); the last eight are remembered."""
    from sfm_depth_ros.data.synthetic.painters import PAINTERS

    rng = np.random.default_rng([seed, 0x7E])
    names, sizes, packed = {}, {}, []
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
        tile: ``(P,)`` int64 tile index.
        u: ``(P,)`` horizontal position, one unit a tile, wraps.
        v: ``(P,)`` vertical position, likewise.
        footprint_u: ``(P,)`` width of the pixel on the texture, in tiles.
        footprint_v: ``(P,)`` its height, in tiles.

    Returns:
        ``(P, 3)`` float32 colour in [0, 1].
    """
    level_u, level_v = _level(footprint_u), _level(footprint_v)
    offsets = torch.tensor(LEVEL_OFFSETS, device=u.device).reshape(-1)
    base = tile * TILE_STRIDE + offsets[level_v * LEVELS + level_u]
    nu, nv = TILE >> level_u, TILE >> level_v
    x, y = u * nu - 0.5, v * nv - 0.5
    x0, y0 = torch.floor(x), torch.floor(y)
    fx, fy = (x - x0).unsqueeze(1), (y - y0).unsqueeze(1)
    x0, y0 = x0.long(), y0.long()
    left, right = x0 & (nu - 1), (x0 + 1) & (nu - 1)
    low, high = base + (y0 & (nv - 1)) * nu, base + ((y0 + 1) & (nv - 1)) * nu
    bottom = torch.lerp(_fetch(atlas, low + left), _fetch(atlas, low + right), fx)
    top = torch.lerp(_fetch(atlas, high + left), _fetch(atlas, high + right), fx)
    return torch.lerp(bottom, top, fy)


def _level(footprint: Tensor) -> Tensor:
    """Ripmap level whose texel is nearest to the footprint."""
    texels = (footprint * TILE).clamp_(1.0, float(TILE))
    return torch.log2(texels).add_(0.5).long().clamp_(0, LEVELS - 1)


def _fetch(atlas: Atlas, index: Tensor) -> Tensor:
    words = torch.index_select(atlas.texels, 0, index)
    return words.view(torch.uint8).view(-1, 4)[:, :3].float().mul_(1 / 255)
