# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the ground looks like: bands along the road, and markings painted on it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfm_depth_ros.data.synthetic.road import CELL_M, GroundMap
from sfm_depth_ros.data.synthetic.textures import Atlas, sample


@dataclass(frozen=True)
class Band:
    """A strip of ground: everything to the right of ``left_edge`` that no other band covers."""

    left_edge: float
    tile: str
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Line:
    """A painted line: at ``lateral``, ``dash_m`` of every ``period_m`` (equal = unbroken)."""

    lateral: float
    width_m: float
    dash_m: float
    period_m: float
    value: float


@dataclass(frozen=True)
class Crossing:
    """A zebra crossing: bars of 0.5 m every metre between two lateral positions."""

    along: float
    length_m: float
    right: float
    left: float


@dataclass(frozen=True)
class GroundStyle:
    """Bands from right to left (the last reaches to infinity), lines, crossings."""

    bands: tuple[Band, ...]
    lines: tuple[Line, ...] = ()
    crossings: tuple[Crossing, ...] = ()


class Ground:
    """Colours of ground points."""

    def __init__(self, style: GroundStyle, ground_map: GroundMap, atlas: Atlas) -> None:
        device = atlas.texels.device
        self._style, self._atlas = style, atlas
        self._origin = ground_map.origin
        self._shape = ground_map.cells.shape[:2]
        self._cells = torch.from_numpy(ground_map.cells).reshape(-1, 2).to(device)
        self._edges = torch.tensor([band.left_edge for band in style.bands[:-1]], device=device)
        rows = [[atlas.names[b.tile], atlas.sizes[b.tile][0], *b.tint] for b in style.bands]
        self._rows = torch.tensor(rows, device=device)

    def road_coordinates(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """(along, across) in metres of world points ``(P,)``."""
        rows, columns = self._shape
        column = ((x - self._origin[0]) / CELL_M).clamp_(0, columns - 1.001)
        row = ((y - self._origin[1]) / CELL_M).clamp_(0, rows - 1.001)
        x0, y0 = column.long(), row.long()
        fx, fy = (column - x0).unsqueeze(1), (row - y0).unsqueeze(1)
        corner = y0 * columns + x0
        value = [self._cells[corner + step] for step in (0, 1, columns, columns + 1)]
        low, high = torch.lerp(value[0], value[1], fx), torch.lerp(value[2], value[3], fx)
        return torch.lerp(low, high, fy).unbind(1)

    def colours(self, x: Tensor, y: Tensor, long_m: Tensor, wide_m: Tensor) -> Tensor:
        """Square root of reflectance.

        Args:
            x: ``(P,)`` world position in metres.
            y: ``(P,)`` likewise.
            long_m: ``(P,)`` length of the pixel on the ground, along the road.
            wide_m: ``(P,)`` its width, across the road.

        Returns:
            ``(P, 3)`` float32.
        """
        along, across = self.road_coordinates(x, y)
        row = self._rows[torch.bucketize(across, self._edges)]
        size = row[:, 1]
        tile, u, v = row[:, 0].long(), across / size, along / size
        colour = sample(self._atlas, tile, u, v, wide_m / size, long_m / size)
        colour = colour.mul_(row[:, 2:5])
        mottled = torch.full_like(tile, self._atlas.names["mottled"])
        wide = sample(self._atlas, mottled, across / 23, along / 31, wide_m / 23, long_m / 31)
        colour = colour.mul_(wide[:, :1] + 0.5)
        return self._paint(colour, along, across, long_m, wide_m)

    def _paint(
        self, colour: Tensor, along: Tensor, across: Tensor, long_m: Tensor, wide_m: Tensor
    ) -> Tensor:
        for line in self._style.lines:
            cover = _cover(across - line.lateral, line.width_m, wide_m)
            if line.dash_m < line.period_m:
                phase = torch.remainder(along, line.period_m) - 0.5 * line.period_m
                cover = cover * _cover(phase, line.dash_m, long_m)
            colour = torch.lerp(colour, torch.full_like(colour, line.value), cover[:, None])
        for crossing in self._style.crossings:
            bars = _cover(torch.remainder(across, 1.0) - 0.5, 0.5, wide_m)
            middle, width = 0.5 * (crossing.right + crossing.left), crossing.left - crossing.right
            cover = bars * _cover(across - middle, width, wide_m)
            cover = cover * _cover(along - crossing.along, crossing.length_m, long_m)
            colour = torch.lerp(colour, torch.full_like(colour, 0.8), cover[:, None])
        return colour


def _cover(offset: Tensor, width: float, footprint: Tensor) -> Tensor:
    """Share of a pixel's footprint that a stripe of ``width`` around zero covers."""
    footprint = footprint.clamp(min=0.005)
    high = torch.minimum(offset + 0.5 * footprint, torch.full_like(offset, 0.5 * width))
    low = torch.maximum(offset - 0.5 * footprint, torch.full_like(offset, -0.5 * width))
    return ((high - low) / footprint).clamp_(0, 1)
