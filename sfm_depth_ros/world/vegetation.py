# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Vegetation as volume: walls of hedge, edges of woods, trees with branches, banks and hills."""

from __future__ import annotations

import math

import numpy as np

from sfm_depth_ros.world.layout import Roadside
from sfm_depth_ros.world.objects import BALL, BOX, CYLINDER
from sfm_depth_ros.world.props import Place, Props

LEAVES = ("foliage_a", "foliage_b")


def hedge_wall(
    props: Props, side: Roadside, sign: int, lateral: float, span: tuple[float, float]
) -> None:
    """A dense hedge or row of shrubs between two positions along the road, 1 to 5 m high."""
    rng = props.rng
    height, tile = float(rng.uniform(0.8, 2.2) * rng.choice([1.0, 1.0, 2.0])), _leaves(rng)
    tint = rng.uniform(0.55, 1.1) * (1 + rng.normal(0, 0.07, 3))
    is_trimmed = rng.random() < 0.35
    step = 0.8 + 0.3 * height
    for along in np.arange(*span, step):
        place = side.place(along, sign * (lateral + 0.5 * step))
        if not side.is_clear(place, 0.3 * step):
            continue
        if is_trimmed:
            props.block(place, (step + 0.1, 0.8, height), 0.0, tile, tint)
            props.foliage((place.x, place.y, height * 0.9), 0.5 * step, tint, tile)
            continue
        for _ in range(3):
            x, y = place.offset(*rng.uniform(-0.5, 0.5, 2) * step)
            z, radius = rng.uniform(0.2, 0.85) * height, rng.uniform(0.4, 0.65) * step
            props.foliage((x, y, z), radius, tint * rng.uniform(0.8, 1.2), tile)
        core = place.offset(0.0, sign * 0.3 * step)
        half = (0.6 * step, 0.4 * step, 0.5 * height)
        props.solids.add(BALL, (*core, 0.45 * height), half, place.yaw, tile, tint * 0.6)


def wood_edge(
    props: Props, side: Roadside, sign: int, lateral: float, span: tuple[float, float]
) -> None:
    """The edge of a wood: undergrowth, trunks, crowns over one another up to 15 m."""
    rng = props.rng
    height, tile = rng.uniform(6, 16), _leaves(rng)
    tint = rng.uniform(0.5, 1.05) * (1 + rng.normal(0, 0.07, 3))
    step = rng.uniform(2.2, 4.0)
    for along in np.arange(*span, step):
        place = side.place(along + rng.uniform(-1, 1), sign * (lateral + rng.uniform(0.5, 3.0)))
        if not side.is_clear(place, 1.0):
            continue
        shade = tint * rng.uniform(0.75, 1.25)
        if rng.random() < 0.6:
            branched_tree(props, place, height * rng.uniform(0.6, 1.1), tile, shade)
        else:
            clump = rng.uniform(0.8, 2.2)
            props.foliage((place.x, place.y, 0.8 * clump), clump, shade, tile)
        behind = side.place(along, sign * (lateral + 5.0))
        if side.is_clear(behind, 3.0):
            for level in (0.2, 0.5, 0.8):
                x, y = behind.offset(*rng.uniform(-1.5, 1.5, 2))
                clump = step * rng.uniform(0.6, 1.1)
                props.foliage((x, y, level * height), clump, shade * 0.7, tile)


def branched_tree(
    props: Props, place: Place, height: float, tile: str, tint: np.ndarray | float
) -> None:
    """A trunk that may lean and fork, and a crown of many small ragged clumps."""
    rng = props.rng
    radius, trunk = 0.022 * height * rng.uniform(0.6, 1.5), height * rng.uniform(0.25, 0.5)
    lean = rng.normal(0, 0.06, 2)
    axes = np.array([[radius, 0, lean[0] * trunk / 2], [0, radius, lean[1] * trunk / 2],
                     [0, 0, trunk / 2]])  # fmt: skip
    centre = place.x + lean[0] * trunk / 2, place.y + lean[1] * trunk / 2, trunk / 2
    props.solids.add_affine(CYLINDER, centre, axes, "bark")
    top = np.array([place.x + lean[0] * trunk, place.y + lean[1] * trunk, trunk])
    middle = top + np.array([0.0, 0.0, (height - trunk) / 2])
    spread = (height - trunk) * rng.uniform(0.35, 0.75)
    for _ in range(int(rng.integers(6, 13))):
        direction = rng.normal(0, 1, 3)
        direction /= np.linalg.norm(direction)
        out = direction * rng.uniform(0.2, 1.0) * [spread, spread, (height - trunk) / 2]
        clump = middle + out
        if rng.random() < 0.3:
            _branch(props, top, clump, 0.4 * radius)
        size = spread * rng.uniform(0.25, 0.5)
        props.foliage((clump[0], clump[1], clump[2]), size, tint * rng.uniform(0.8, 1.2), tile)


def _branch(props: Props, start: np.ndarray, end: np.ndarray, radius: float) -> None:
    along = (end - start) / 2
    across = np.cross(along, [0.3, 0.9, 0.1])
    across *= radius / max(float(np.linalg.norm(across)), 1e-6)
    third = np.cross(along, across)
    third *= radius / max(float(np.linalg.norm(third)), 1e-6)
    middle = (start + end) / 2
    centre = float(middle[0]), float(middle[1]), float(middle[2])
    props.solids.add_affine(CYLINDER, centre, np.stack([across, third, along], 1), "bark")


def bank(
    props: Props, side: Roadside, sign: int, lateral: float, span: tuple[float, float]
) -> None:
    """A grassy slope that rises from the roadside by 0.5 to 4 m."""
    rng = props.rng
    rise, wide = rng.uniform(0.5, 4.0), rng.uniform(1.5, 6.0)
    tile, tint = str(rng.choice(["grass", "soil", "foliage_b"])), rng.uniform(0.8, 1.2)
    for along in np.arange(*span, 4.0):
        place = side.place(along, sign * (lateral + wide / 2))
        if not side.is_clear(place, wide / 2):
            continue
        c, s = math.cos(place.yaw), math.sin(place.yaw)
        rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        # A box sheared so that its top rises away from the road; most of it is below the ground.
        axes = np.array([[2.3, 0, 0], [0, wide / 2, 0], [0, sign * rise / 2, rise]])
        centre = (place.x, place.y, -rise / 2)
        props.solids.add_affine(BOX, centre, rotation @ axes, tile, tint)


def hills(props: Props, side: Roadside) -> None:
    """Wooded or open hills that close the horizon, 70 to 200 m away."""
    rng = props.rng
    if rng.random() < 0.3:
        return
    for along in np.arange(side.road.start, side.road.end + 120, rng.uniform(25, 60)):
        for sign in (-1, 1):
            if rng.random() < 0.45:
                continue
            away, size = rng.uniform(70, 160), rng.uniform(20, 50)
            place = side.place(min(along, side.road.end - 1), sign * away)
            if side.is_clear(place, size + 10):
                half = size * rng.uniform(0.8, 2.0), size, rng.uniform(6, 30)
                tile, tint = str(rng.choice(["grass", *LEAVES])), rng.uniform(0.5, 1.0)
                yaw = rng.uniform(0, 6.28)
                props.solids.add(BALL, (place.x, place.y, 0.0), half, yaw, tile, tint)


def _leaves(rng: np.random.Generator) -> str:
    return str(rng.choice(LEAVES))
