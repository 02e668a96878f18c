# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Things that stand in a scene, at real sizes: vehicles, houses, trees, poles, people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.world.objects import BALL, BOX, CYLINDER, FOLIAGE, SolidList

FACADES = ("facade_a", "facade_b", "facade_c", "facade_d", "facade_e")

Size = tuple[float, float, float]
Tiles = str | Sequence[str]
Tint = float | np.ndarray


@dataclass(frozen=True)
class Place:
    """Position of a thing."""

    x: float  # World position in metres
    y: float  # World position in metres
    yaw: float  # Direction that it faces, radians
    mover: int = -1  # Moving group whose frame the above is in, -1 = the world

    def offset(self, forward: float, left: float) -> tuple[float, float]:
        """World position of a point given in the thing's own frame."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return self.x + c * forward - s * left, self.y + s * forward + c * left


class Props:
    """Adds things to a list of solids."""

    def __init__(self, solids: SolidList, rng: np.random.Generator) -> None:
        self.solids = solids
        self.rng = rng

    def block(self, place: Place, size: Size, base: float, tiles: Tiles, tint: Tint = 1.0) -> None:
        """A box of ``size`` (length, width, height) whose underside is at ``base``."""
        half = size[0] / 2, size[1] / 2, size[2] / 2
        centre = (place.x, place.y, base + half[2])
        self.solids.add(BOX, centre, half, place.yaw, tiles, tint, place.mover)

    def part(
        self,
        place: Place,
        at: tuple[float, float],
        size: Size,
        base: float,
        tiles: Tiles,
        tint: Tint = 1.0,
    ) -> None:
        """A block at an offset (forward, left) in the place's own frame."""
        x, y = place.offset(*at)
        self.block(Place(x, y, place.yaw, place.mover), size, base, tiles, tint)

    def car(self, place: Place) -> None:
        """A saloon, hatchback or estate: lower body, cabin with sloping screens, rear plate."""
        rng = self.rng
        length, width, height = rng.uniform((3.6, 1.65, 1.38), (4.9, 1.9, 1.6))
        tint = self._paint()
        body = height * rng.uniform(0.58, 0.66)
        lower = ("car_front", "car_side", "metal")
        self.part(place, (0, 0), (length, width, body), 0.02, lower, tint)
        plate = 0.06, width * 0.97, body * 0.97
        self.part(place, (-length / 2, 0), plate, 0.03, "car_rear", tint)
        rear, front = -length * rng.uniform(0.36, 0.47), length * rng.uniform(0.2, 0.27)
        slopes = rng.uniform(0.15, 0.6), rng.uniform(0.35, 0.6)
        self._cabin(place, (rear, front), slopes, (width * 0.9, height - body), body, tint)

    def _cabin(
        self,
        place: Place,
        span: tuple[float, float],
        slopes: tuple[float, float],
        size: tuple[float, float],
        base: float,
        tint: Tint,
    ) -> None:
        """Two sheared boxes, whose union is a trapezium seen from the side."""
        c, s = math.cos(place.yaw), math.sin(place.yaw)
        rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        half = (span[1] - span[0]) / 2 - max(slopes) / 2
        for lean, end, width in ((slopes[0], 0, size[0] * 0.985), (-slopes[1], 1, size[0])):
            x = (span[0] + half if end == 0 else span[1] - half) + lean / 2
            axes = np.array([[half, 0, lean / 2], [0, width / 2, 0], [0, 0, size[1] / 2]])
            xy = place.offset(x, 0.0)
            centre = (*xy, base + size[1] / 2)
            tiles = ("car_glass", "car_cabin", "metal")
            self.solids.add_affine(BOX, centre, rotation @ axes, tiles, tint, place.mover)

    def van(self, place: Place) -> None:
        """A van or a lorry: one tall box with a lower bonnet."""
        rng = self.rng
        lorry = rng.random() < 0.25
        length, width = (rng.uniform(6, 9), 2.5) if lorry else (rng.uniform(4.3, 5.8), 1.95)
        height = rng.uniform(2.8, 3.7) if lorry else rng.uniform(1.8, 2.5)
        tint = self._paint()
        sides = ("car_front", "van_side", "metal")
        self.part(place, (0, 0), (length, width, height), 0.05, sides, tint)
        plate = 0.06, width * 0.97, height * 0.97
        self.part(place, (-length / 2, 0), plate, 0.06, "car_rear", tint)
        nose = (0.9, width * 0.97, height * 0.45)
        self.part(place, (length / 2 + 0.4, 0), nose, 0.05, ("car_front", "metal", "metal"), tint)

    def _paint(self) -> np.ndarray:
        """Most cars are white, grey or black (in square-root reflectance)."""
        grey = self.rng.choice([0.18, 0.3, 0.48, 0.68, 0.92], p=[0.3, 0.15, 0.2, 0.2, 0.15])
        if self.rng.random() < 0.3:
            return np.clip(self.rng.uniform(0.1, 0.7, 3), 0, 1)
        return grey * (1 + self.rng.normal(0, 0.03, 3))

    def house(self, place: Place, size: tuple[float, float], storeys: int) -> None:
        """Walls with windows under a gable or flat roof."""
        rng = self.rng
        height = 3.0 * storeys
        tint = rng.uniform(0.7, 1.1) * (1 + rng.normal(0, 0.05, 3))
        facade = str(rng.choice(FACADES))
        side = facade if rng.random() < 0.6 else "plaster"
        front = "garage" if storeys == 1 and rng.random() < 0.4 else facade
        self.block(place, (*size, height), 0.0, (side, front, "concrete"), tint)
        if rng.random() < 0.7:
            self._gable(place, size, height, rng.random() < 0.6, tint)
        else:
            self.block(place, (size[0] + 0.3, size[1] + 0.3, 0.4), height, "concrete", 0.9)
        if rng.random() < 0.4:
            out = (rng.uniform(-0.3, 0.3) * size[0], 0.0)
            self.part(place, out, (2.2, size[1] + 2.0, 1.1), 3.0, "plaster", tint * 0.9)

    def _gable(
        self, place: Place, size: tuple[float, float], height: float, along: bool, tint: Tint
    ) -> None:
        """A rhombic prism, half of it sunk into the walls."""
        ridge, span = (size[0], size[1]) if along else (size[1], size[0])
        yaw = place.yaw if along else place.yaw + math.pi / 2
        c, s = math.cos(yaw), math.sin(yaw)
        rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        w, rise = (span / 2 + 0.4) / 2, span * self.rng.uniform(0.3, 0.5) / 2
        axes = np.array([[ridge / 2 - 0.02, 0, 0], [0, w, -w], [0, rise, rise]])
        tiles = ("plaster", "roof", "roof")
        self.solids.add_affine(BOX, (place.x, place.y, height), rotation @ axes, tiles, tint)

    def tree(self, place: Place, height: float, clumps: int) -> None:
        """A trunk and a crown of leafy clumps with holes."""
        rng = self.rng
        crown = height * rng.uniform(0.55, 0.75)
        trunk = height - 0.6 * crown
        radius = 0.02 * height * rng.uniform(0.6, 1.3)
        half = (radius, radius, trunk / 2)
        self.solids.add(CYLINDER, (place.x, place.y, trunk / 2), half, 0.0, "bark")
        tint = rng.uniform(0.55, 1.15) * (1 + rng.normal(0, 0.08, 3))
        spread = crown * rng.uniform(0.3, 0.6)
        for _ in range(clumps):
            direction = rng.normal(0, 1, 3)
            direction *= rng.uniform(0.3, 0.95) / np.linalg.norm(direction)
            x, y = place.x + direction[0] * spread, place.y + direction[1] * spread
            z = height - crown / 2 + direction[2] * crown / 2
            self.foliage((x, y, z), rng.uniform(0.3, 0.6) * spread, tint, "leaves")

    def thicket(self, place: Place, height: float, tint: float) -> None:
        """Dense far trees: overlapping clumps without holes."""
        for _ in range(3):
            x, y = place.offset(*(self.rng.normal(0, 0.35, 2) * height))
            half = height * self.rng.uniform(0.25, 0.5, 3)
            shade = tint * self.rng.uniform(0.8, 1.2)
            centre = (x, y, half[2] * self.rng.uniform(0.6, 1.4))
            self.solids.add(BALL, centre, half, self.rng.uniform(0, 6.28), "leaves", shade)

    def conifer(self, place: Place, height: float) -> None:
        """A spruce: foliage narrowing upwards."""
        tint = self.rng.uniform(0.4, 0.75) * (1 + self.rng.normal(0, 0.06, 3))
        width = height * self.rng.uniform(0.13, 0.2)
        for level in np.linspace(0.15, 0.95, 5):
            half = width * (1.1 - level), width * (1.1 - level), height * 0.16
            yaw = self.rng.uniform(0, 6.28)
            centre = (place.x, place.y, height * level)
            self.solids.add(FOLIAGE, centre, half, yaw, "leaves", tint)

    def foliage(
        self, centre: tuple[float, float, float], radius: float, tint: Tint, tile: str
    ) -> None:
        """One clump of leaves."""
        half = radius * self.rng.uniform(0.75, 1.25, 3)
        self.solids.add(FOLIAGE, centre, half, self.rng.uniform(0, 6.28), tile, tint)

    def bush(self, place: Place, radius: float) -> None:
        """A few clumps on the ground."""
        tint = self.rng.uniform(0.5, 1.2) * (1 + self.rng.normal(0, 0.08, 3))
        for _ in range(int(self.rng.integers(1, 4))):
            x, y = place.offset(*(self.rng.uniform(-0.6, 0.6, 2) * radius))
            self.foliage((x, y, radius * 0.6), radius, tint, "hedge")

    def fence(self, place: Place, length: float, kind: str) -> None:
        """A straight piece of hedge, wall, plank fence or railing, facing sideways."""
        tint = self.rng.uniform(0.7, 1.15)
        if kind == "hedge":
            height = self.rng.uniform(0.9, 1.8)
            self.block(place, (length, 0.7, height), 0.0, "hedge", tint * 0.8)
            for f in np.arange(-length / 2, length / 2, 1.2):
                x, y = place.offset(f, 0.0)
                self.foliage((x, y, height * 0.85), 0.55, tint * 0.8, "hedge")
        elif kind == "planks":
            self.block(place, (length, 0.05, self.rng.uniform(0.9, 1.9)), 0.05, "planks", tint)
        elif kind == "railing":
            for f in np.arange(-length / 2, length / 2, 1.0):
                self.part(place, (f, 0.0), (0.06, 0.06, 1.0), 0.0, "metal", 0.3)
            for base in (0.3, 0.95):
                self.block(place, (length, 0.05, 0.06), base, "metal", 0.3)
        else:
            self.block(place, (length, 0.3, self.rng.uniform(0.5, 1.6)), 0.0, kind, tint)

    def pole(self, place: Place, height: float) -> None:
        """A lamp post, or a sign post where it is low."""
        radius = self.rng.uniform(0.03, 0.06) if height < 4 else self.rng.uniform(0.06, 0.13)
        tint = self.rng.uniform(0.25, 0.8)
        half = (radius, radius, height / 2)
        self.solids.add(CYLINDER, (place.x, place.y, height / 2), half, 0.0, "metal", tint)
        if height < 4:
            tile = str(self.rng.choice(["sign_a", "sign_b"]))
            side = self.rng.uniform(0.5, 0.9)
            self.block(place, (0.04, side, side), height - side, tile)
        else:
            x, y = place.offset(0.0, 0.8)
            self.block(Place(x, y, place.yaw), (0.3, 1.8, 0.12), height, "metal", tint)

    def person(self, place: Place) -> None:
        """A pedestrian: legs and body, arms, head."""
        height = self.rng.uniform(1.55, 1.9)
        tile = str(self.rng.choice(["person_a", "person_b"]))
        half = (0.15, 0.23, height / 2)
        tint = self.rng.uniform(0.6, 1.2, 3)
        centre = (place.x, place.y, height / 2 + 0.02)
        self.solids.add(CYLINDER, centre, half, place.yaw, tile, tint, place.mover)
        head = (place.x, place.y, height)
        self.solids.add(BALL, head, (0.11, 0.1, 0.14), 0.0, "soil", 1.5, place.mover)
