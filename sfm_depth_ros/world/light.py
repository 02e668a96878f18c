# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sun, sky light and the shadows that solids cast: all independent of the viewer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.world.intersection import MISS
from sfm_depth_ros.world.objects import Solids
from sfm_depth_ros.world.visibility import (
    NearestHits,
    RayGrid,
    Visible,
    cast,
    pair_with_tiles,
    to_tiles,
)

CELL_M = 0.3
WINDOW_M = 48.0  # half the side of a shadow map
STRIDE_M = 24.0  # maps are centred on multiples of this
BIAS_M = 0.1
Points = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Light:
    """Illumination of a scene."""

    to_sun: tuple[float, float, float]  # `(3,)` unit vector towards the sun
    sun: tuple[float, float, float]  # `(3,)` irradiance of a surface facing the sun, RGB
    ambient: tuple[float, float, float]  # `(3,)` irradiance from the sky, RGB
    sky: float  # Brightness of the sky on the same scale, before exposure
    exposure: float  # Gain from radiance to the square of the image value
    shadows: bool = True  # Whether solids cast shadows (not indoors, where lamps are everywhere)

    def frame(self) -> np.ndarray:
        """``(3, 3)`` float64, rows: two axes across the light, then its direction."""
        down = -np.asarray(self.to_sun)
        across = np.cross(down, [0.0, 0.0, 1.0])
        across /= np.linalg.norm(across)
        return np.stack([across, np.cross(down, across), down])


class ShadowMaps:
    """Depth of the first surface along the light, rendered where the camera comes by."""

    def __init__(self, light: Light, solids: Solids, holes: Tensor) -> None:
        self._solids, self._holes = solids, holes
        self._is_used = max(light.sun) > 0 and light.shadows
        self._frame = light.frame()
        self._rows = torch.tensor(self._frame, dtype=torch.float32, device=holes.device)
        self._maps: dict[tuple[int, int], Tensor] = {}

    def lit(self, points: Points, sun: Tensor | float, around: np.ndarray) -> Tensor | float:
        """Share of sun light that arrives.

        Args:
            points: World x, y, z, each ``(P,)`` float32.
            sun: Cosine between normal and sun; grazing light is compared with more tolerance.
            around: ``(2,)`` world position that the map should be centred on.

        Returns:
            ``(P,)`` in [0, 1]; 1 outside the map.
        """
        if not self._is_used:
            return 1.0
        middle = self._frame[:2, :2] @ around
        key = round(middle[0] / STRIDE_M), round(middle[1] / STRIDE_M)
        if key not in self._maps:
            if len(self._maps) >= 6:
                self._maps.pop(next(iter(self._maps)))
            self._maps[key] = self._render(key)
        rows = self._frame.tolist()
        local = [sum(p * k for p, k in zip(points, row, strict=True)) for row in rows]
        # A cell's depth varies by its size over the slope: without this, grazed walls get spots.
        slope = 1.0 / sun.clamp(min=0.12) if isinstance(sun, Tensor) else 1.0 / max(sun, 0.12)
        local[2] = local[2] - slope * (0.6 * CELL_M)
        return _compare(self._maps[key], local, key)

    def _render(self, key: tuple[int, int]) -> Tensor:
        """One map, ``(cells, cells)`` float32 metres along the light."""
        device = self._holes.device
        grid = _light_grid(key, device)
        visible, rectangles = self._candidates(key)
        pairs = pair_with_tiles(rectangles, grid)
        t = torch.full(grid.x.shape, MISS, device=device)
        hits = NearestHits(t, torch.zeros_like(t, dtype=torch.int64))
        kinds = self._solids.kinds[visible.solid]
        cast(hits, visible, kinds, pairs, grid, self._holes, parallel=True)
        cells = grid.width
        blocks = hits.t.reshape(cells // 8, cells // 8, 8, 8).transpose(1, 2)
        depths = blocks.reshape(cells, cells) - 500.0
        for border in (depths[0], depths[-1], depths[:, 0], depths[:, -1]):
            border.fill_(MISS)
        return depths

    def _candidates(self, key: tuple[int, int]) -> tuple[Visible, Tensor]:
        solids = self._solids
        frame = self._rows
        centres = solids.centres @ frame.T
        half = torch.einsum("ij,njk->nik", frame, solids.axes).abs().sum(-1)
        low, high = centres - half, centres + half
        middle = torch.tensor(key, device=low.device) * STRIDE_M
        inside = ((high[:, :2] > middle - WINDOW_M) & (low[:, :2] < middle + WINDOW_M)).all(1)
        index = torch.nonzero(inside & (solids.movers < 0)).squeeze(1)
        to_unit = solids.to_unit[index] @ frame.T
        # Rays start 500 m up the light, so that every hit lies ahead of them.
        start = -solids.centres[index] - 500.0 * frame[2]
        origin = torch.einsum("nij,nj->ni", solids.to_unit[index], start)
        rectangles = torch.stack([low[index, 0], high[index, 0], low[index, 1], high[index, 1]])
        return Visible(torch.zeros_like(index), index, to_unit, origin), rectangles


def _light_grid(key: tuple[int, int], device: torch.device) -> RayGrid:
    cells = int(2 * WINDOW_M / CELL_M)
    steps = torch.arange(cells, device=device) * CELL_M - WINDOW_M
    x, y = steps + key[0] * STRIDE_M, steps + key[1] * STRIDE_M
    both = torch.stack([x, x]), torch.stack([y, y])
    image_x, image_y = x.expand(cells, cells), y[:, None].expand(cells, cells)
    return RayGrid(to_tiles(image_x), to_tiles(image_y), *both, cells, cells)


def _compare(depths: Tensor, local: list[Tensor], key: tuple[int, int]) -> Tensor:
    """Bilinear share of the four nearest cells that do not hide the point."""
    cells = depths.shape[0]
    # Beyond the map its border is repeated; the map is kept free of shadows there.
    column, row = (
        local[k].sub_(key[k] * STRIDE_M - WINDOW_M).div_(CELL_M).clamp_(0, cells - 1.001)
        for k in (0, 1)
    )
    x0, y0 = column.int(), row.int()
    fx, fy = column.sub_(x0), row.sub_(y0)
    flat, limit = depths.reshape(-1), local[2].sub_(BIAS_M)
    corner = y0 * cells + x0
    seen = [
        # A step function by arithmetic: selection by masks is slow on a CPU.
        flat.index_select(0, corner + step).sub_(limit).mul_(1e4).clamp_(0, 1)
        for step in (0, 1, cells, cells + 1)
    ]
    low = torch.lerp(seen[0], seen[1], fx)
    return torch.lerp(low, torch.lerp(seen[2], seen[3], fx), fy)


def random_light(rng: np.random.Generator, indoor: bool = False) -> Light:
    """Sunny, hazy or overcast; indoors: lamps above."""
    elevation = math.radians(rng.uniform(18, 65) if not indoor else rng.uniform(60, 80))
    azimuth = rng.uniform(0, 2 * math.pi)
    level = math.cos(elevation)
    to_sun = (level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation))
    sunny = 0.35 if indoor else float(rng.choice([0.0, 0.4, 0.9, 1.2], p=[0.2, 0.15, 0.3, 0.35]))
    ambient = rng.uniform(0.13, 0.32) if sunny > 0 else rng.uniform(0.6, 0.9)
    warm = rng.uniform(0.0, 0.12)
    sun = (sunny * (1 + warm), sunny, sunny * (1 - warm))
    blue = rng.uniform(0.0, 0.15) * (sunny > 0)
    sky = rng.uniform(0.6, 1.6)
    exposure = rng.uniform(1.0, 2.0) / (ambient + 0.6 * sunny)
    cold = (ambient * (1 - blue), ambient, ambient * (1 + blue))
    return Light(to_sun, sun, cold, sky, exposure, shadows=not indoor)
