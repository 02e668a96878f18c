# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The solids of a scene: affine images of a unit box, cylinder or ball, with textured faces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.world.textures import TILE, Atlas

BOX, CYLINDER, BALL, FOLIAGE = range(4)
Numbers = Sequence[float] | np.ndarray
FACE_FIELDS = 8  # tile, scale u, scale v, offset u, offset v, red, green, blue


@dataclass(frozen=True)
class Solids:
    """All solids of a scene as tables, sorted by kind."""

    kinds: Tensor  # `(N,)` int64, one of BOX, CYLINDER, BALL, FOLIAGE (a ball with holes)
    centres: Tensor  # `(N, 3)` float32 world position in metres at time zero
    # `(N, 3, 3)` float32, from world offsets to unit coordinates
    to_unit: Tensor
    axes: Tensor  # `(N, 3, 3)` float32, columns are the half axes in the world, metres
    radii: Tensor  # `(N,)` float32 bounding radius in metres
    faces: Tensor  # `(N * 3, FACE_FIELDS)` float32 by dominant axis of the unit coordinates
    movers: Tensor  # `(N,)` int64 index of the moving group, -1 = stands still

    def to(self, device: str) -> Solids:
        """The same tables on another device."""
        return Solids(**{name: value.to(device) for name, value in vars(self).items()})


class SolidList:
    """Collects solids; ``solids()`` makes the tables."""

    def __init__(self, atlas: Atlas, rng: np.random.Generator) -> None:
        self._atlas = atlas
        self._rng = rng
        self._rows: list[tuple[int, np.ndarray, np.ndarray, int]] = []
        self._faces: list[list[float]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self,
        kind: int,
        centre: Numbers,
        half: Numbers,
        yaw: float,
        tiles: str | Sequence[str],
        tint: Numbers | float = 1.0,
        mover: int = -1,
    ) -> None:
        """Add an upright solid.

        Args:
            kind: BOX, CYLINDER, BALL or FOLIAGE.
            centre: World position of its middle in metres.
            half: Half extents along its own x, y, z in metres.
            yaw: Rotation about z in radians.
            tiles: Names of the tiles on the faces across x, y, z (or one for all).
            tint: Colour factor.
            mover: Moving group, -1 = stands still.
        """
        c, s = math.cos(yaw), math.sin(yaw)
        axes = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) * np.asarray(half, float)
        self.add_affine(kind, centre, axes, tiles, tint, mover)

    def add_affine(
        self,
        kind: int,
        centre: Numbers,
        axes: np.ndarray,
        tiles: str | Sequence[str],
        tint: Numbers | float = 1.0,
        mover: int = -1,
    ) -> None:
        """Add a solid whose half axes are the columns of ``axes`` ``(3, 3)``, metres."""
        names = [tiles] * 3 if isinstance(tiles, str) else list(tiles)
        extent = np.linalg.norm(axes, axis=0)
        shift = self._rng.uniform(0, 1)
        for face, (u, v) in enumerate(((1, 2), (0, 2), (0, 1))):
            mapping = self._mapping(names[face], extent[u], extent[v], shift)
            colour = np.broadcast_to(np.asarray(tint, float), 3)
            self._faces.append([self._atlas.names[names[face]], *mapping, *colour])
        self._rows.append((kind, np.asarray(centre, float), axes, mover))

    def _mapping(self, name: str, half_u: float, half_v: float, shift: float) -> list[float]:
        """Scale and offset from unit coordinates to tiles: by real size, or one tile a face."""
        width, height = self._atlas.sizes[name]
        if width <= 0:
            inner = 0.5 - 1.0 / TILE
            return [inner, inner, 0.5, 0.5]
        return [half_u / width, half_v / height, shift, half_v / height]

    def solids(self) -> Solids:
        """Tables of everything added, sorted by kind."""
        kinds = np.array([row[0] for row in self._rows], np.int64)
        order = np.argsort(kinds, kind="stable")
        axes = np.stack([row[2] for row in self._rows])[order]
        faces = np.array(self._faces, np.float32).reshape(-1, 3, FACE_FIELDS)[order]
        corner = np.where(kinds[order] == BOX, 1.0, 0.0)
        length = np.linalg.norm(axes, axis=1)
        radii = np.where(corner > 0, np.linalg.norm(length, axis=1), length.max(1) * 1.4143)
        return Solids(
            kinds=torch.from_numpy(kinds[order]),
            centres=_tensor(np.stack([row[1] for row in self._rows])[order]),
            to_unit=_tensor(np.linalg.inv(axes)),
            axes=_tensor(axes),
            radii=_tensor(radii),
            faces=_tensor(faces.reshape(-1, FACE_FIELDS)),
            movers=torch.tensor([row[3] for row in self._rows])[torch.from_numpy(order)],
        )


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
