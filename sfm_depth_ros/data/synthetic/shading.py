# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Colour of what each pixel sees: texture, Lambertian light, shadow; the same from everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfm_depth_ros.data.synthetic.light import Light
from sfm_depth_ros.data.synthetic.objects import BOX, CYLINDER, FOLIAGE, Solids
from sfm_depth_ros.data.synthetic.textures import Atlas, sample
from sfm_depth_ros.data.synthetic.visibility import Visible


@dataclass(frozen=True)
class Surface:
    """Points to be lit.

    Attributes:
        colour: ``(P, 3)`` square root of reflectance.
        sun: ``(P,)`` cosine between normal and sun, at least 0.
        up: ``(P,)`` vertical component of the normal.
    """

    colour: Tensor
    sun: Tensor
    up: Tensor


class SolidShader:
    """Looks up faces of solids."""

    def __init__(self, solids: Solids, atlas: Atlas, light: Light) -> None:
        self._solids, self._atlas = solids, atlas
        sun = torch.tensor(light.to_sun, device=solids.radii.device)
        normals = solids.to_unit / solids.to_unit.norm(dim=2, keepdim=True)
        self._face_light = torch.stack([normals @ sun, normals[..., 2]], -1).reshape(-1, 2)
        towards = solids.to_unit @ sun
        self._round_sun = towards / towards.norm(dim=1, keepdim=True)

    def shade(self, visible: Visible, hit: Tensor, x: Tensor, y: Tensor, t: Tensor, pixel: float):
        """Surface at each hit.

        Args:
            visible: Candidates that ``hit`` indexes.
            hit: ``(P,)`` row of ``visible``.
            x: ``(P,)`` ray coordinate on the image plane.
            y: ``(P,)`` likewise.
            t: ``(P,)`` depth in metres.
            pixel: Width of a pixel on the image plane.
        """
        table = torch.cat([visible.to_unit, visible.origin[..., None]], 2).reshape(-1, 4)
        solid = visible.solid[hit]
        kind = self._solids.kinds[solid]
        whole = table.reshape(-1, 12)[hit]
        local = [_along(whole[:, k : k + 4], x, y, t) for k in (0, 4, 8)]
        axis = _dominant(local, kind)
        u_row, v_row, n_row = _axes(table, hit, axis)
        u, v = _along(u_row, x, y, t), _along(v_row, x, y, t)
        face = self._solids.faces[solid * 3 + axis]
        spread = t * pixel
        wide, high = _footprint(u_row, v_row, n_row, x, y)
        colour = sample(
            self._atlas,
            face[:, 0].long(),
            torch.addcmul(face[:, 3], face[:, 1], u),
            torch.addcmul(face[:, 4], face[:, 2], v),
            wide * spread * face[:, 1],
            high * spread * face[:, 2],
        )
        sun, up = self._normals(solid, kind, axis, local)
        return Surface(colour.mul_(face[:, 5:8]), sun, up)

    def _normals(
        self, solid: Tensor, kind: Tensor, axis: Tensor, local: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        stacked = torch.stack(local, 1)
        side = torch.sign(stacked.gather(1, axis[:, None]))
        flat = self._face_light[solid * 3 + axis] * side
        round_sun = (self._round_sun[solid] * stacked).sum(1)
        is_flat = (kind == BOX) | ((kind == CYLINDER) & (axis == 2))
        sun = torch.where(is_flat, flat[:, 0], round_sun)
        # Leaves scatter light through: half of it arrives on the side away from the sun.
        sun = torch.where(kind == FOLIAGE, 0.5 + 0.5 * sun, sun)
        up = torch.where(is_flat, flat[:, 1], stacked[:, 2] * (kind != CYLINDER))
        return sun.clamp_(min=0), up


def _along(row: Tensor, x: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """One unit coordinate of the points at depth ``t``."""
    slope = torch.addcmul(torch.addcmul(row[:, 2], row[:, 0], x), row[:, 1], y)
    return torch.addcmul(row[:, 3], slope, t)


def _dominant(local: list[Tensor], kind: Tensor) -> Tensor:
    """Axis of the face that a point lies on; a cylinder's cap only where z is at its end."""
    a, b, c = (value.abs() for value in local)
    cap = torch.where(kind == CYLINDER, (c > 0.9995) * 9.0, c)
    return torch.where(cap > torch.maximum(a, b), 2, (b > a).long())


def _axes(table: Tensor, hit: Tensor, axis: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    base = hit * 3
    horizontal = (axis == 0).long()
    vertical = 2 - (axis == 2).long()
    return table[base + horizontal], table[base + vertical], table[base + axis]


def _footprint(
    u_row: Tensor, v_row: Tensor, n_row: Tensor, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """Extent of a pixel of unit width at unit depth, in unit coordinates of the face."""
    slopes = []
    for row in (u_row, v_row, n_row):
        slopes.append(torch.addcmul(torch.addcmul(row[:, 2], row[:, 0], x), row[:, 1], y))
    inverse = 1.0 / torch.where(slopes[2].abs() < 1e-6, 1e-6, slopes[2])
    extents = []
    for row, slope in ((u_row, slopes[0]), (v_row, slopes[1])):
        ratio = slope * inverse
        across = (row[:, 0] - ratio * n_row[:, 0]).abs()
        extents.append(torch.maximum(across, (row[:, 1] - ratio * n_row[:, 1]).abs()))
    return extents[0], extents[1]


def illuminate(surface: Surface, lit: Tensor, light: Light) -> Tensor:
    """Image values in [0, 1], ``(P, 3)``: square root of radiance, so colours multiply."""
    device = surface.colour.device
    sun = torch.tensor(light.sun, device=device) * light.exposure
    ambient = torch.tensor(light.ambient, device=device) * light.exposure
    direct = (surface.sun * lit).unsqueeze(1)
    shade = (0.75 + 0.25 * surface.up).unsqueeze(1)
    return torch.sqrt(direct * sun + shade * ambient).mul_(surface.colour)


def sky_colours(direction: Tensor, atlas: Atlas, light: Light, pixel: float) -> Tensor:
    """Clouds over a gradient that brightens towards the horizon.

    Args:
        direction: ``(P, 3)`` world directions.
        atlas: The tiles.
        light: Illumination.
        pixel: Width of a pixel on the image plane.
    """
    flat = direction[:, :2].norm(dim=1)
    elevation = direction[:, 2] / flat.clamp(min=1e-6)
    azimuth = torch.atan2(direction[:, 1], direction[:, 0])
    u, v = azimuth * (1.5 / torch.pi), 1.2 * elevation
    tile = torch.full_like(u, atlas.names["clouds"], dtype=torch.int64)
    footprint = torch.full_like(u, pixel)
    colour = sample(atlas, tile, u, v, footprint, footprint)
    haze = torch.exp(-6.0 * elevation.clamp(min=0)).unsqueeze(1)
    gain = (light.sky * light.exposure) ** 0.5
    return torch.lerp(colour, torch.full_like(colour, 0.95), haze).mul_(gain)
