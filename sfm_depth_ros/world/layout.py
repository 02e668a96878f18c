# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Layout shared by all styles of place, and placement of things along the road."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.world.ground import Band, GroundStyle
from sfm_depth_ros.world.props import Place, Props
from sfm_depth_ros.world.road import Road

Rng = np.random.Generator


@dataclass(frozen=True)
class Layout:
    """Choices of a style apart from its solids."""

    ground: GroundStyle  # Bands and markings
    half_width: float  # Half the width of the roadway in metres
    lane_m: float  # Lateral position in which the robot drives
    has_traffic: bool = False  # Whether vehicles drive here


@dataclass(frozen=True)
class Style:
    """Building of one kind of place; ``bend`` limits the road's curves."""

    build: Callable[[Props, Road], Layout]
    bend: float
    indoor: bool = False
    ragged: bool = False  # Whether leaves are so loose that outlines are irregular


class Roadside:
    """Places things relative to the road and keeps the roadway clear."""

    def __init__(self, road: Road, clear_m: float) -> None:
        self.road = road
        self.clear_m = clear_m

    def place(self, along: float, lateral: float, yaw: float = 0.0) -> Place:
        """A place facing along the road, plus ``yaw`` radians."""
        x, y = self.road.position(along, lateral)
        return Place(float(x), float(y), float(self.road.yaw(along)) + yaw)

    def is_clear(self, place: Place, radius: float) -> bool:
        """Whether a disc keeps off the roadway (roads bend back on themselves)."""
        gap = np.hypot(*(self.road.xy[::4] - [place.x, place.y]).T).min()
        return bool(gap > self.clear_m + radius)


def random_tint(rng: Rng, low: float = 0.85, high: float = 1.15) -> tuple[float, float, float]:
    """A random brightness with a weak hue."""
    r, g, b = rng.uniform(low, high) * (1 + rng.normal(0, 0.03, 3))
    return float(r), float(g), float(b)


def country_bands(
    rng: Rng, half: float, verge: float, tiles: tuple[str, str, str]
) -> tuple[Band, ...]:
    """Bands of a road ``2 half`` metres wide between verges; tiles of roadway, verge, field."""
    surface, edge, field = tiles
    tints = [random_tint(rng, 0.8, 1.25) for _ in range(3)]
    return (
        Band(-half - verge, field, tints[0]),
        Band(-half, edge, tints[1]),
        Band(half, surface, tints[2]),
        Band(half + verge, edge, tints[1]),
        Band(np.inf, "grass", tints[0]),
    )
