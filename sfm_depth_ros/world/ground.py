# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Appearance of the ground: bands along the road, and markings painted on it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfm_depth_ros.world.road import CELL_M, GroundMap
from sfm_depth_ros.world.textures import Atlas, sample


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
        rows = [[atlas.names[b.tile], 1 / atlas.sizes[b.tile][0], *b.tint] for b in style.bands]
        self._rows = torch.tensor(rows, device=device)

    def road_coordinates(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """(along, across) in metres of world points ``(P,)``."""
        rows, columns = self._shape
        column = ((x - self._origin[0]) / CELL_M).clamp_(0, columns - 1.001)
        row = ((y - self._origin[1]) / CELL_M).clamp_(0, rows - 1.001)
        x0, y0 = column.int(), row.int()
        fx, fy = column.sub_(x0), row.sub_(y0)
        corner = y0 * columns + x0
        steps = (0, 1, columns, columns + 1)
        taps = [self._cells.index_select(0, corner + step) for step in steps]
        along, across = (
            torch.lerp(
                torch.lerp(taps[0][:, k], taps[1][:, k], fx),
                torch.lerp(taps[2][:, k], taps[3][:, k], fx),
                fy,
            )
            for k in (0, 1)
        )
        return along, across

    def colours(self, x: Tensor, y: Tensor, long_m: Tensor, wide_m: Tensor) -> Tensor:
        """Square root of reflectance.

        Args:
            x: ``(P,)`` world position in metres.
            y: ``(P,)`` likewise.
            long_m: ``(P,)`` length of the pixel on the ground, along the road.
            wide_m: ``(P,)`` its width, across the road.

        Returns:
            ``(3, P)`` float32.
        """
        along, across = self.road_coordinates(x, y)
        row = self._rows.index_select(0, torch.bucketize(across, self._edges))
        scale = row[:, 1]
        tile, u, v = row[:, 0].int(), across * scale, along * scale
        colour = sample(self._atlas, tile, u, v, wide_m * scale, long_m * scale)
        colour = colour.mul_(row[:, 2:5].T)
        mottled = torch.full_like(tile, self._atlas.names["mottled"])
        wide = sample(self._atlas, mottled, across / 23, along / 31, wide_m / 23, long_m / 31)
        colour = colour.mul_(wide[0] + 0.5)
        return self._paint(colour, along, across, long_m, wide_m)

    def _paint(
        self, colour: Tensor, along: Tensor, across: Tensor, long_m: Tensor, wide_m: Tensor
    ) -> Tensor:
        for line in self._style.lines:
            cover = _cover(across - line.lateral, line.width_m, wide_m)
            if line.dash_m < line.period_m:
                phase = torch.remainder(along, line.period_m) - 0.5 * line.period_m
                cover = cover.mul_(_cover(phase, line.dash_m, long_m))
            colour = colour.add_((line.value - colour).mul_(cover))
        for crossing in self._style.crossings:
            bars = _cover(torch.remainder(across, 1.0) - 0.5, 0.5, wide_m)
            middle, width = 0.5 * (crossing.right + crossing.left), crossing.left - crossing.right
            cover = bars.mul_(_cover(across - middle, width, wide_m))
            cover = cover.mul_(_cover(along - crossing.along, crossing.length_m, long_m))
            colour = colour.add_((0.8 - colour).mul_(cover))
        return colour


def _cover(offset: Tensor, width: float, footprint: Tensor) -> Tensor:
    """Share of a pixel's footprint that a stripe of ``width`` around zero covers."""
    footprint = footprint.clamp(min=0.005)
    high = torch.add(offset, footprint, alpha=0.5).clamp_(max=0.5 * width)
    low = torch.sub(offset, footprint, alpha=0.5).clamp_(min=-0.5 * width)
    return high.sub_(low).div_(footprint).clamp_(0, 1)
