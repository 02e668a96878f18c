# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Colour of what each pixel sees: texture, Lambertian light, shadow; the same from everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfm_depth_ros.world.light import Light
from sfm_depth_ros.world.objects import BOX, CYLINDER, FOLIAGE, Solids
from sfm_depth_ros.world.textures import Atlas, sample
from sfm_depth_ros.world.visibility import Visible


@dataclass(frozen=True)
class Surface:
    """Points to be lit."""

    colour: Tensor  # `(3, P)` square root of reflectance
    sun: Tensor | float  # `(P,)` (or one number) cosine between normal and sun, at least 0
    up: Tensor | float  # `(P,)` (or one number) vertical component of the normal


@dataclass(frozen=True)
class PixelRays:
    """Some of the pixels of a batch."""

    x: Tensor  # `(P,)` ray coordinate on the image plane
    y: Tensor  # `(P,)` likewise
    t: Tensor  # `(P,)` depth in metres
    pixel: float  # Width of a pixel on the image plane

    def slope(self, row: Tensor) -> Tensor:
        """Change with depth of the unit coordinate that ``row`` ``(P, 4)`` describes."""
        return torch.addcmul(torch.addcmul(row[:, 2], row[:, 0], self.x), row[:, 1], self.y)


class SolidShader:
    """Looks up faces of solids."""

    def __init__(self, solids: Solids, atlas: Atlas, light: Light) -> None:
        self._atlas = atlas
        self._faces = _face_table(solids, light)
        self._kinds = solids.kinds

    def shade(self, visible: Visible, hit: Tensor, rays: PixelRays) -> Surface:
        """Surface at each hit.

        Args:
            visible: Candidates that ``hit`` indexes.
            hit: ``(P,)`` row of ``visible``.
            rays: The pixels.
        """
        table = torch.cat([visible.to_unit, visible.origin[..., None]], 2).reshape(-1, 4)
        is_cylinder = (self._kinds[visible.solid] == CYLINDER).float()
        whole = torch.cat([table.reshape(-1, 12), is_cylinder[:, None]], 1).index_select(0, hit)
        local = [_local(whole[:, k : k + 4], rays) for k in (0, 4, 8)]
        axis = _dominant(local, whole[:, 12])
        rows = _axes(table, hit, axis)
        slopes = [rays.slope(row) for row in rows]
        u, v, n = (
            torch.addcmul(row[:, 3], slope, rays.t)
            for row, slope in zip(rows, slopes, strict=True)
        )
        face = self._faces.index_select(0, visible.solid.index_select(0, hit) * 3 + axis)
        wide, high = _footprint(rows, slopes)
        spread = rays.t * rays.pixel
        colour = sample(
            self._atlas,
            face[:, 0].int(),
            torch.addcmul(face[:, 3], face[:, 1], u),
            torch.addcmul(face[:, 4], face[:, 2], v),
            wide.mul_(spread).mul_(face[:, 1]),
            high.mul_(spread).mul_(face[:, 2]),
        )
        sun, up = _normals(face, n.sign_(), local)
        return Surface(colour.mul_(face[:, 5:8].T), sun, up)


def _face_table(solids: Solids, light: Light) -> Tensor:
    """``(N * 3, 16)``: the faces' textures, then what ``_normals`` needs."""
    sun = torch.tensor(light.to_sun, device=solids.radii.device)
    normals = solids.to_unit / solids.to_unit.norm(dim=2, keepdim=True)
    towards = solids.to_unit @ sun
    towards = (towards / towards.norm(dim=1, keepdim=True))[:, None].expand(-1, 3, -1)
    kinds = solids.kinds[:, None].expand(-1, 3)
    is_cap = torch.arange(3, device=kinds.device) == 2
    is_flat = (kinds == BOX) | ((kinds == CYLINDER) & is_cap)
    is_leaf, has_top = kinds == FOLIAGE, kinds > CYLINDER
    flags = torch.stack([is_flat, is_leaf, has_top], 2).float()
    lights = torch.stack([normals @ sun, normals[..., 2]], 2)
    table = torch.cat([solids.faces.reshape(-1, 3, 8), lights, towards, flags], 2)
    return table.reshape(-1, table.shape[2]).contiguous()


def _normals(face: Tensor, side: Tensor, local: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Cosine to the sun and vertical component of the normal."""
    is_flat, is_leaf, has_top = face[:, 13], face[:, 14], face[:, 15]
    round_sun = face[:, 10] * local[0] + face[:, 11] * local[1] + face[:, 12] * local[2]
    sun = torch.lerp(round_sun, face[:, 8] * side, is_flat)
    # Leaves scatter light through: half of it arrives on the side away from the sun.
    sun = torch.lerp(sun, 0.5 + 0.5 * sun, is_leaf)
    up = torch.lerp(local[2] * has_top, face[:, 9] * side, is_flat)
    return sun.clamp_(min=0), up


def _local(row: Tensor, rays: PixelRays) -> Tensor:
    """One unit coordinate of the points."""
    return torch.addcmul(row[:, 3], rays.slope(row), rays.t)


def _dominant(local: list[Tensor], is_cylinder: Tensor) -> Tensor:
    """Axis of the face that a point lies on; a cylinder's cap only where z is at its end."""
    a, b, c = (value.abs() for value in local)
    c = c.add_(is_cylinder * (c - 0.9995), alpha=1e6)
    is_second = (b > a).long()
    return is_second + (c > torch.maximum(a, b)).long() * (2 - is_second)


def _axes(table: Tensor, hit: Tensor, axis: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of the two coordinates in the face, and of the one across it."""
    base = hit * 3
    horizontal, vertical = (axis == 0).long(), 2 - (axis == 2).long()
    first, second, third = (table.index_select(0, base + k) for k in (horizontal, vertical, axis))
    return first, second, third


def _footprint(rows: tuple[Tensor, ...], slopes: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Extent of a pixel of unit width at unit depth, in unit coordinates of the face."""
    inverse = slopes[2].add(1e-9).reciprocal_()
    extents = []
    for row, slope in zip(rows[:2], slopes[:2], strict=True):
        ratio = slope * inverse
        across = torch.addcmul(row[:, 0], ratio, rows[2][:, 0], value=-1).abs_()
        down = torch.addcmul(row[:, 1], ratio, rows[2][:, 1], value=-1).abs_()
        extents.append(torch.maximum(across, down))
    return extents[0], extents[1]


def illuminate(surface: Surface, lit: Tensor | float, light: Light) -> Tensor:
    """Image values, ``(3, P)``: square roots of radiance, so that colours multiply."""
    direct, shade = surface.sun * lit, 0.75 + 0.25 * surface.up
    for channel in range(3):
        sun, sky = light.sun[channel] * light.exposure, light.ambient[channel] * light.exposure
        radiance = direct * sun + shade * sky
        if isinstance(radiance, Tensor):
            surface.colour[channel].mul_(radiance.sqrt_())
        else:
            surface.colour[channel].mul_(radiance**0.5)
    return surface.colour


def sky_colours(
    direction: tuple[Tensor, Tensor, Tensor], atlas: Atlas, light: Light, pixel: float
) -> Tensor:
    """Clouds over a gradient that brightens towards the horizon, ``(3, P)``.

    Args:
        direction: World directions, three ``(P,)``.
        atlas: The tiles.
        light: Illumination.
        pixel: Width of a pixel on the image plane.
    """
    x, y, z = direction
    elevation = z / (x * x + y * y).clamp_(min=1e-9).sqrt_()
    u, v = torch.atan2(y, x).mul_(1.5 / torch.pi), 1.2 * elevation
    tile = torch.full_like(u, atlas.names["clouds"], dtype=torch.int32)
    footprint = torch.full_like(u, pixel)
    colour = sample(atlas, tile, u, v, footprint, footprint)
    haze = elevation.clamp_(min=0).mul_(-6.0).exp_()
    gain = (light.sky * light.exposure) ** 0.5
    return colour.add_((0.95 - colour).mul_(haze)).mul_(gain)
