# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exact ray casting of a scene for a batch of cameras: images and depths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.world.ground import Ground
from sfm_depth_ros.world.intersection import MISS, foliage_holes
from sfm_depth_ros.world.light import ShadowMaps
from sfm_depth_ros.world.scene import Scene
from sfm_depth_ros.world.shading import (
    PixelRays,
    SolidShader,
    Surface,
    illuminate,
    sky_colours,
)
from sfm_depth_ros.world.visibility import (
    NearestHits,
    RayGrid,
    Visible,
    bounds,
    cast,
    from_tiles,
    pair_with_tiles,
)

FAR_M = 220.0
HORIZON_M = 1500.0
SKY, GROUND = -2, -1
RAGGED = 0.42, 1.6  # share of holes and their smoothness where leaves are loose
BLOCK = 65536  # pixels shaded at once
Triple = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Views:
    """Cameras at one time each."""

    T_world_camera: np.ndarray  # `(B, 4, 4)` float64 poses of the optical frames
    times: np.ndarray  # `(B,)` seconds


@dataclass(frozen=True)
class Rendering:
    """Images, depths and moving things as cameras see them."""

    image: Tensor  # `(B, H, W, 3)` float32, 1 = white, may exceed it
    depth: Tensor  # `(B, H, W)` float32 metres along the optical axis, inf in the sky
    # `(B, H, W)` uint8, 0 = stands still, else the moving thing's number (those of more than 255
    # repeat); None where nothing moves
    instances: Tensor | None


class Renderer:
    """Renders one scene on one device."""

    def __init__(self, scene: Scene, device: str = "cpu") -> None:
        self._scene = scene
        self._device = torch.device(device)
        self._atlas = scene.atlas.to(device)
        self._solids = scene.solids.to(device)
        self._ground = Ground(scene.ground, scene.ground_map, self._atlas)
        holes = foliage_holes(scene.seed, *(RAGGED if scene.ragged else ()))
        self._holes = holes.to(device)
        self._shadows = ShadowMaps(scene.light, self._solids, self._holes)
        self._shader = SolidShader(self._solids, self._atlas, scene.light)
        signs = torch.tensor([[(k >> a & 1) * 2.0 - 1 for a in range(3)] for k in range(8)])
        self._signs = signs.to(device)

    @torch.inference_mode()
    def render(self, views: Views, grid: RayGrid) -> Rendering:
        """Render every view.

        Args:
            views: ``B`` cameras.
            grid: Their rays, on the renderer's device.
        """
        R = self._tensor(views.T_world_camera[:, :3, :3])
        position = self._tensor(views.T_world_camera[:, :3, 3])
        visible, rectangles = self._visible(views, R, position, grid)
        hits = self._background(R, position, grid)
        pairs = pair_with_tiles(rectangles, grid)
        kinds = self._solids.kinds[visible.solid]
        cast(hits, visible, kinds, pairs, grid, self._holes)
        colour = self._colours(hits, visible, R, position, grid)
        instances = self._instances(hits, visible)
        depth = hits.t.masked_fill_(hits.hit == SKY, torch.inf).reshape(-1)
        return Rendering(
            from_tiles(colour, grid),
            from_tiles(depth, grid),
            None if instances is None else from_tiles(instances, grid),
        )

    def _instances(self, hits: NearestHits, visible: Visible) -> Tensor | None:
        """``(B * tiles * S,)`` uint8 number of the moving thing that each pixel sees."""
        if not self._scene.movers:
            return None
        hit = hits.hit.reshape(-1)
        solid = visible.solid.index_select(0, hit.clamp(min=0))
        mover = self._solids.movers.index_select(0, solid)
        moves = (hit >= 0) & (mover >= 0)
        return torch.where(moves, 1 + mover % 255, 0).to(torch.uint8)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32).to(self._device)

    def _background(self, R: Tensor, position: Tensor, grid: RayGrid) -> NearestHits:
        """Ground and sky."""
        row = R[:, 2, :, None, None]
        slope = row[:, 0] * grid.x + row[:, 1] * grid.y + row[:, 2]
        t = -position[:, 2, None, None] / slope
        sky = ~((t > 0) & (t < HORIZON_M))
        t = t.masked_fill_(sky, MISS).reshape(-1, grid.x.shape[1])
        return NearestHits(t, torch.where(sky, SKY, GROUND).reshape(t.shape))

    def _visible(
        self, views: Views, R: Tensor, position: Tensor, grid: RayGrid
    ) -> tuple[Visible, Tensor]:
        solids, batch = self._solids, len(position)
        centres = solids.centres.expand(batch, -1, -1)
        movement = self._moved(views.times)
        if movement is not None:
            movers = solids.movers.clamp(min=0)
            still = (solids.movers < 0)[:, None]
            carried = torch.einsum("bnij,nj->bni", movement[0][:, movers], solids.centres)
            centres = torch.where(still, centres, carried + movement[1][:, movers])
        local = torch.einsum("bnk,bkj->bnj", centres - position[:, None], R)
        z, r = local[..., 2], solids.radii
        keep = (z + r > 0) & (z - r < FAR_M)
        for axis, limits in ((0, grid.columns), (1, grid.rows)):
            reach = float(limits.abs().max())
            slack = r * (1 + reach**2) ** 0.5
            keep &= local[..., axis].abs() < reach * z.clamp(min=0) + slack
        solid, camera = torch.nonzero(keep.T, as_tuple=True)
        to_unit, axes = solids.to_unit[solid], solids.axes[solid]
        if movement is not None:
            rotation = self._rotations(movement[0], camera, solid)
            to_unit, axes = to_unit @ rotation.transpose(1, 2), rotation @ axes
        middle = local[camera, solid]
        half = R[camera].transpose(1, 2) @ axes
        corners = middle[:, None] + torch.einsum("ck,qik->qci", self._signs, half)
        unit = to_unit @ R[camera]
        origin = -torch.einsum("qij,qj->qi", unit, middle)
        return Visible(camera, solid, unit, origin), bounds(corners)

    def _moved(self, times: np.ndarray) -> tuple[Tensor, Tensor] | None:
        """Rotation ``(B, G, 3, 3)`` and position ``(B, G, 3)`` of every moving group."""
        if not self._scene.movers:
            return None
        poses = np.stack([[mover.pose(t) for mover in self._scene.movers] for t in times])
        return self._tensor(poses[..., :3, :3]), self._tensor(poses[..., :3, 3])

    def _rotations(self, movement: Tensor, camera: Tensor, solid: Tensor) -> Tensor:
        mover = self._solids.movers[solid]
        rotation = movement[camera, mover.clamp(min=0)]
        return torch.where(
            (mover < 0)[:, None, None], torch.eye(3, device=movement.device), rotation
        )

    def _colours(
        self, hits: NearestHits, visible: Visible, R: Tensor, position: Tensor, grid: RayGrid
    ) -> Tensor:
        """``(B * tiles * S, 3)`` float32."""
        pixel = float(grid.columns[0, -1] - grid.columns[0, 0]) / (grid.width - 1)
        t, hit = hits.t.view(-1), hits.hit.view(-1)
        x, y = (value.reshape(-1).repeat(len(R)) for value in (grid.x, grid.y))
        direction = [
            (R[:, k, 0:1] * grid.x.view(1, -1) + R[:, k, 1:2] * grid.y.view(1, -1) + R[:, k, 2:3])
            for k in range(3)
        ]
        depth = t.view(len(R), -1)
        points = [
            torch.addcmul(position[:, k : k + 1], depth, direction[k]).view(-1) for k in range(3)
        ]
        direction = [component.view(-1) for component in direction]
        colour = torch.empty(len(t), 3, device=t.device)
        around = (position[0] + 20.0 * R[0, :, 2])[:2].cpu().numpy().astype(float)
        light = self._scene.light
        for part in _blocks(hit >= 0):
            rays = PixelRays(*_pick((x, y, t), part), pixel)
            surface = self._shader.shade(visible, hit.index_select(0, part), rays)
            lit = self._shadows.lit(_pick(points, part), surface.sun, around)
            colour.index_copy_(0, part, illuminate(surface, lit, light).T)
        for part in _blocks(hit == GROUND):
            at, wide = _pick(points, part), t.index_select(0, part) * pixel
            surface = self._ground_surface(at, _pick(direction, part), wide)
            lit = self._shadows.lit(at, surface.sun, around)
            colour.index_copy_(0, part, illuminate(surface, lit, light).T)
        for part in _blocks(hit == SKY):
            shade = sky_colours(_pick(direction, part), self._atlas, light, pixel)
            colour.index_copy_(0, part, shade.T)
        return colour

    def _ground_surface(self, points: Triple, direction: Triple, wide: Tensor) -> Surface:
        x, y, z = direction
        length = (x * x + y * y + z * z).sqrt_()
        long = wide * length / z.abs().clamp_(min=1e-3)
        colour = self._ground.colours(points[0], points[1], long, wide)
        return Surface(colour, self._scene.light.to_sun[2], 1.0)


def _pick(values: Sequence[Tensor], index: Tensor) -> Triple:
    a, b, c = (value.index_select(0, index) for value in values)
    return a, b, c


def _blocks(mask: Tensor) -> tuple[Tensor, ...]:
    """Indices where the mask is set, in blocks that fit the cache of a core (all on a GPU)."""
    index = torch.nonzero(mask).squeeze(1)
    if not len(index):
        return ()
    return index.split(BLOCK) if mask.device.type == "cpu" else (index,)
