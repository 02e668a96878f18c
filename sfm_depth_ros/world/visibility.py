# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Visibility: pair solids with screen tiles, intersect, keep the nearest one per pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfm_depth_ros.world.intersection import Rays, intersect, pass_holes
from sfm_depth_ros.world.objects import BOX, FOLIAGE

SIDE = 8  # pixels along a screen tile's edge
NEAR = 0.03  # metres
CHUNK = 2048  # (solid, tile) pairs intersected at once: they fit the cache of a core


@dataclass(frozen=True)
class RayGrid:
    """Rays of one camera model on the image plane, cut into square tiles."""

    x: Tensor  # `(tiles, SIDE * SIDE)` horizontal coordinate of each pixel's ray
    y: Tensor  # The vertical coordinate; a perspective ray is (x, y, 1) in the optical frame
    columns: Tensor  # `(2, W)` smallest and largest x of each image column
    rows: Tensor  # `(2, H)` smallest and largest y of each image row
    width: int  # Image width in pixels
    height: int  # Image height in pixels

    @classmethod
    def from_coordinates(cls, x: Tensor, y: Tensor) -> RayGrid:
        """From ``(H, W)`` ray coordinates."""
        height, width = x.shape
        columns = torch.stack([x.amin(0).cummax(0).values, x.amax(0).cummax(0).values])
        rows = torch.stack([y.amin(1).cummax(0).values, y.amax(1).cummax(0).values])
        return cls(to_tiles(x), to_tiles(y), columns, rows, width, height)

    @property
    def tiles_across(self) -> int:
        """Tiles in a row of the image."""
        return -(-self.width // SIDE)

    @property
    def tiles(self) -> int:
        """Tiles in the image."""
        return self.tiles_across * -(-self.height // SIDE)

    def to(self, device: str) -> RayGrid:
        """The same rays on another device."""
        x, y, columns, rows = (v.to(device) for v in (self.x, self.y, self.columns, self.rows))
        return RayGrid(x, y, columns, rows, self.width, self.height)


def to_tiles(image: Tensor) -> Tensor:
    """``(H, W)`` to ``(tiles, SIDE * SIDE)``; the border is repeated to whole tiles."""
    height, width = image.shape
    rows = torch.arange(-(-height // SIDE) * SIDE, device=image.device).clamp_(max=height - 1)
    columns = torch.arange(-(-width // SIDE) * SIDE, device=image.device).clamp_(max=width - 1)
    image = image[rows][:, columns]
    blocks = image.reshape(len(rows) // SIDE, SIDE, -1, SIDE)
    return blocks.transpose(1, 2).reshape(-1, SIDE * SIDE).contiguous()


def from_tiles(tiles: Tensor, grid: RayGrid) -> Tensor:
    """``(B * tiles * SIDE * SIDE, ...)`` back to ``(B, H, W, ...)``."""
    down = grid.tiles // grid.tiles_across
    rest = tiles.shape[1:]
    blocks = tiles.reshape(-1, down, grid.tiles_across, SIDE, SIDE, *rest).transpose(2, 3)
    image = blocks.reshape(-1, down * SIDE, grid.tiles_across * SIDE, *rest)
    return image[:, : grid.height, : grid.width]


@dataclass(frozen=True)
class Visible:
    """Solids that a camera may see."""

    camera: Tensor  # `(Q,)` index of the camera in the batch
    solid: Tensor  # `(Q,)` index of the solid, ascending, so kinds are contiguous
    to_unit: Tensor  # `(Q, 3, 3)` optical directions to unit coordinates
    origin: Tensor  # `(Q, 3)` camera position in unit coordinates


def bounds(corners: Tensor) -> Tensor:
    """Image-plane rectangle of boxes.

    Args:
        corners: ``(Q, 8, 3)`` corners in the optical frame; bit k of the index is axis k.

    Returns:
        ``(4, Q)`` smallest x, largest x, smallest y, largest y of the part before the camera.
    """
    edges = [(i, i | bit) for bit in (1, 2, 4) for i in range(8) if not i & bit]
    start, end = (torch.tensor(side, device=corners.device) for side in zip(*edges, strict=True))
    a, b = corners[:, start], corners[:, end]
    za, zb = a[..., 2:], b[..., 2:]
    cut = a + (b - a) * ((NEAR - za) / (zb - za + 1e-12))
    points = torch.cat([torch.where(za < NEAR, cut, a), torch.where(zb < NEAR, cut, b)], 1)
    behind = ((za < NEAR) & (zb < NEAR)).repeat(1, 2, 1)
    xy = points[..., :2] / points[..., 2:].clamp(min=NEAR * 0.5)
    low = xy.masked_fill(behind, torch.inf).amin(1)
    high = xy.masked_fill(behind, -torch.inf).amax(1)
    return torch.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]])


def pair_with_tiles(rectangles: Tensor, grid: RayGrid) -> tuple[Tensor, Tensor]:
    """Tiles that each rectangle touches.

    Args:
        rectangles: ``(4, Q)`` on the image plane.
        grid: The rays.

    Returns:
        ``(P,)`` index of the rectangle, ascending, and ``(P,)`` tile index.
    """
    first_x = torch.searchsorted(grid.columns[1], rectangles[0].contiguous()) // SIDE
    last_x = (torch.searchsorted(grid.columns[0], rectangles[1].contiguous()) - 1) // SIDE
    first_y = torch.searchsorted(grid.rows[1], rectangles[2].contiguous()) // SIDE
    last_y = (torch.searchsorted(grid.rows[0], rectangles[3].contiguous()) - 1) // SIDE
    across = (last_x.clamp_(max=grid.tiles_across - 1) - first_x + 1).clamp_(min=0)
    down = (last_y.clamp_(max=grid.tiles // grid.tiles_across - 1) - first_y + 1).clamp_(min=0)
    counts = across * down
    owner = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    local = torch.arange(len(owner), device=owner.device) - (counts.cumsum(0) - counts)[owner]
    width = across[owner]
    row = local // width
    return owner, (first_y[owner] + row) * grid.tiles_across + first_x[owner] + local - row * width


@dataclass
class NearestHits:
    """Nearest surfaces hit so far."""

    t: Tensor  # `(B * tiles, SIDE * SIDE)` float32 ray parameter, `MISS` where nothing was hit
    hit: Tensor  # Likewise int64, row of `Visible` that was hit; negative codes elsewhere

    def update(self, found: Tensor, slot: Tensor, owner: Tensor) -> None:
        """Merge ``(P, S)`` intersections of solids ``owner`` with tiles ``slot``."""
        self.t.scatter_reduce_(0, slot.unsqueeze(1).expand_as(found), found, "amin")
        pair, pixel = torch.nonzero(found == self.t.index_select(0, slot)).unbind(1)
        self.hit[slot[pair], pixel] = owner[pair]

    def update_leaves(
        self, rays: tuple[Rays, Rays], found: Tensor, slot: Tensor, owner: Tensor, holes: Tensor
    ) -> None:
        """The same for foliage, whose holes are looked up only where it is nearest."""
        pair, pixel = torch.nonzero(found < self.t.index_select(0, slot)).unbind(1)
        entry = pair * found.shape[1] + pixel
        origin, direction = (_choose(vectors, pair, entry) for vectors in rays)
        near = found.reshape(-1).index_select(0, entry)
        leaf = pass_holes(origin, direction, near, holes)
        place = slot.index_select(0, pair) * found.shape[1] + pixel
        flat_t, flat_hit = self.t.view(-1), self.hit.view(-1)
        flat_t.scatter_reduce_(0, place, leaf, "amin")
        first = torch.nonzero(leaf == flat_t.index_select(0, place)).squeeze(1)
        flat_hit[place.index_select(0, first)] = owner.index_select(0, pair.index_select(0, first))


def _choose(vectors: Rays, pair: Tensor, entry: Tensor) -> Rays:
    """Components ``(P, S)`` or ``(P, 1)`` at some of the pixels of some of the pairs."""
    x, y, z = (v.reshape(-1).index_select(0, pair if v.shape[1] == 1 else entry) for v in vectors)
    return x, y, z


def cast(
    nearest: NearestHits,
    visible: Visible,
    kinds: Tensor,
    pairs: tuple[Tensor, Tensor],
    grid: RayGrid,
    holes: Tensor,
    parallel: bool = False,
) -> None:
    """Intersect every pair and keep the nearest hits.

    Args:
        nearest: Updated in place.
        visible: The candidates.
        kinds: ``(Q,)`` kind of each candidate, ascending.
        pairs: From ``pair_with_tiles``.
        grid: The rays.
        holes: Table of holes in foliage.
        parallel: Rays are parallel to the optical axis and start at (x, y, 0) (sun light).
    """
    chunk = CHUNK if kinds.device.type == "cpu" else 1 << 20
    first = torch.searchsorted(kinds, torch.arange(FOLIAGE + 2, device=kinds.device))
    limits = torch.searchsorted(pairs[0], first).tolist()
    for kind in range(BOX, FOLIAGE + 1):
        for start in range(limits[kind], limits[kind + 1], chunk):
            part = slice(start, min(start + chunk, limits[kind + 1]))
            owner, tile = pairs[0][part], pairs[1][part]
            rays = _unit_rays(visible, owner, tile, grid, parallel)
            found = intersect(kind, *rays)
            slot = tile + visible.camera.index_select(0, owner) * grid.tiles
            if kind == FOLIAGE:
                nearest.update_leaves(rays, found, slot, owner, holes)
            else:
                nearest.update(found, slot, owner)


def _unit_rays(
    visible: Visible, owner: Tensor, tile: Tensor, grid: RayGrid, parallel: bool
) -> tuple[Rays, Rays]:
    x, y = grid.x.index_select(0, tile), grid.y.index_select(0, tile)
    matrix, start = visible.to_unit.index_select(0, owner), visible.origin.index_select(0, owner)
    swept, constant = [], []
    for axis in range(3):
        row, offset = matrix[:, axis], start[:, axis, None]
        base = torch.addcmul(offset if parallel else row[:, 2:3], row[:, 0:1], x)
        swept.append(torch.addcmul(base, row[:, 1:2], y))
        constant.append(row[:, 2:3] if parallel else offset)
    a, b = (swept[0], swept[1], swept[2]), (constant[0], constant[1], constant[2])
    return (a, b) if parallel else (b, a)
