# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Places at a robot's scale: yards with crates and fences, corridors and rooms."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.world.ground import Band, GroundStyle, Line
from sfm_depth_ros.world.layout import Layout, Rng, Roadside, random_tint
from sfm_depth_ros.world.objects import BALL, CYLINDER
from sfm_depth_ros.world.props import FACADES, Place, Props
from sfm_depth_ros.world.road import Road

WALLS, WALL_SHARES = ("room_wall", "room_door", "plaster", "brick"), (0.5, 0.3, 0.15, 0.05)


def yard(props: Props, road: Road) -> Layout:
    """A yard or park path: things from half a metre to ten metres away."""
    rng = props.rng
    half = rng.uniform(0.5, 1.6)
    side = Roadside(road, half)
    density = rng.uniform(0.15, 0.9)
    for along in np.arange(road.start, road.end, 0.9):
        if rng.random() < density:
            away = half + 0.5 + rng.exponential(2.2)
            _yard_thing(props, side, along, float(rng.choice([-1, 1]) * away))
    for sign in (-1, 1):
        if rng.random() < 0.6:
            _long_wall(props, side, sign, half + rng.uniform(1.0, 8.0))
        for along in np.arange(road.start, road.end, 15.0):
            place = side.place(along + rng.uniform(0, 8), sign * rng.uniform(12, 30))
            if rng.random() < 0.5 and side.is_clear(place, 9.0):
                props.house(place, (rng.uniform(8, 16), 9.0), int(rng.integers(1, 4)))
            elif side.is_clear(place, 3.0):
                props.tree(place, rng.uniform(4, 11), int(rng.integers(5, 9)))
    return Layout(_yard_ground(rng, half), half, 0.0)


def _yard_thing(props: Props, side: Roadside, along: float, lateral: float) -> None:
    rng = props.rng
    place = side.place(along, lateral, rng.uniform(0, 6.28))
    if not side.is_clear(place, 0.5):
        return
    kind = rng.integers(9)
    if kind <= 2:
        _crates(props, place)
    elif kind == 3:
        props.bush(place, rng.uniform(0.2, 0.8))
    elif kind == 4:
        props.pole(place, rng.uniform(1.5, 3.5))
    elif kind == 5 and side.is_clear(place, 2.6):
        props.car(place)
    elif kind == 6 and side.is_clear(place, 1.0):
        props.tree(place, rng.uniform(2.5, 7), int(rng.integers(4, 8)))
    elif kind == 7:
        _barrel(props, place)
    elif side.is_clear(place, 1.6):
        fence = str(rng.choice(["planks", "brick", "plaster", "hedge", "railing"]))
        props.fence(place, rng.uniform(1.0, 3.0), fence)


def _crates(props: Props, place: Place) -> None:
    """One to three boxes, some stacked."""
    rng = props.rng
    base = 0.0
    for _ in range(int(rng.integers(1, 4))):
        size = rng.uniform(0.2, 1.0, 3)
        tile = str(rng.choice(["crate", "crate", "planks", "metal", "sign_a", "sign_b", "brick"]))
        props.block(place, (*size,), base, tile, rng.uniform(0.5, 1.2, 3))
        if rng.random() < 0.5:
            base += size[2]
        else:
            place = Place(*place.offset(0.0, size[1] + 0.2), place.yaw + rng.normal(0, 0.3))
            base = 0.0


def _barrel(props: Props, place: Place) -> None:
    """A barrel, bin or ball."""
    rng = props.rng
    tint = rng.uniform(0.2, 1.1, 3)
    if rng.random() < 0.3:
        r = rng.uniform(0.1, 0.4)
        props.solids.add(BALL, (place.x, place.y, r), (r, r, r), place.yaw, "sign_a", tint)
        return
    r, h = rng.uniform(0.15, 0.4), rng.uniform(0.4, 1.2)
    tile = str(rng.choice(["metal", "crate", "sign_b"]))
    props.solids.add(CYLINDER, (place.x, place.y, h / 2), (r, r, h / 2), place.yaw, tile, tint)


def _long_wall(props: Props, side: Roadside, sign: int, lateral: float) -> None:
    rng = props.rng
    kind = str(rng.choice(["brick", "plaster", "planks", "hedge", "railing", "facade"]))
    for along in np.arange(side.road.start, side.road.end, 3.0):
        place = side.place(along, sign * lateral)
        if rng.random() < 0.1 or not side.is_clear(place, 0.6):
            continue
        if kind == "facade":
            tile = FACADES[int(rng.integers(2))]
            props.block(place, (3.1, 0.4, 6.0), 0.0, ("plaster", tile, "concrete"))
        else:
            props.fence(place, 3.05, kind)


def _yard_ground(rng: Rng, half: float) -> GroundStyle:
    tiles = ["concrete", "slabs", "asphalt", "gravel", "grass", "soil", "asphalt_old"]
    path, around = str(rng.choice(tiles)), str(rng.choice(tiles))
    wide = half + rng.uniform(0.3, 4.0)
    tint = random_tint(rng, 0.8, 1.2)
    bands = (
        Band(-wide, around, tint),
        Band(wide, path, random_tint(rng, 0.8, 1.2)),
        Band(np.inf, around, tint),
    )
    lines = [Line(wide, 0.1, 1.0, 1.0, 0.7)] if rng.random() < 0.3 else []
    return GroundStyle(bands, tuple(lines))


def indoor(props: Props, road: Road) -> Layout:
    """A corridor with doors, niches and furniture under a ceiling."""
    rng = props.rng
    half = float(rng.choice([rng.uniform(0.9, 1.6), rng.uniform(1.6, 4.5)]))
    height = rng.uniform(2.3, 3.4)
    side = Roadside(road, min(0.5, 0.4 * half))
    tint = rng.uniform(0.75, 1.1) * (1 + rng.normal(0, 0.04, 3))
    for sign in (-1, 1):
        _corridor_wall(props, side, sign, half, height, tint)
    furniture = rng.uniform(0.1, 0.7)
    for along in np.arange(road.start, road.end, 1.3):
        if rng.random() < furniture:
            _furniture(props, side, along, half)
    if rng.random() < 0.9:
        _ceiling(props, side, half, height)
    props.block(side.place(road.end - 30, 0.0), (0.2, 30.0, height), 0.0, "room_wall", tint)
    band = Band(np.inf, "floor", random_tint(rng, 0.8, 1.2))
    return Layout(GroundStyle((band,)), half, 0.0)


def _corridor_wall(
    props: Props, side: Roadside, sign: int, half: float, height: float, tint: np.ndarray
) -> None:
    rng = props.rng
    along = side.road.start
    while along < side.road.end:
        length = rng.uniform(1.5, 3.5)
        niche = rng.uniform(0.3, 2.5) if rng.random() < 0.25 else 0.0
        tile = str(rng.choice(WALLS, p=WALL_SHARES))
        depth = 0.3
        place = side.place(along + length / 2, sign * (half + niche + depth / 2))
        shade = tint * rng.uniform(0.92, 1.06)
        size = length + 0.12, depth, height + 0.1
        props.block(place, size, 0.0, ("plaster", tile, "plaster"), shade)
        if niche > 0:
            for end in (-0.5, 0.5):
                at = side.place(along + length * (0.5 + end), sign * (half + niche / 2 + 0.1))
                props.block(at, (0.12, niche + 0.2, height + 0.1), 0.0, "room_wall", tint)
        along += length


def _furniture(props: Props, side: Roadside, along: float, half: float) -> None:
    rng = props.rng
    depth = rng.uniform(0.2, 0.6)
    lateral = float(rng.choice([-1, 1])) * (half - depth / 2 - 0.02)
    if half > 2 and rng.random() < 0.4:
        lateral *= rng.uniform(0.4, 1.0)
    place = side.place(along, lateral, rng.normal(0, 0.03))
    if abs(lateral) - depth / 2 < 0.5:
        return
    kind = rng.integers(5)
    if kind == 0:
        props.block(place, (rng.uniform(0.6, 1.6), depth, rng.uniform(1.2, 2.1)), 0.0, "shelf")
    elif kind == 1:
        size = (rng.uniform(0.6, 1.6), depth)
        props.block(place, (*size, 0.05), 0.72, "planks", rng.uniform(0.6, 1.2))
        for f in (-0.45, 0.45):
            props.part(place, (f * size[0], 0.0), (0.05, depth * 0.9, 0.72), 0.0, "metal", 0.4)
    elif kind == 2:
        _barrel(props, place)
    elif kind == 3:
        box = 0.5, depth, rng.uniform(0.4, 1.0)
        props.block(place, box, 0.0, "crate", rng.uniform(0.4, 1.2, 3))
    elif rng.random() < 0.4:
        props.person(place)


def _ceiling(props: Props, side: Roadside, half: float, height: float) -> None:
    rng = props.rng
    tint, wide = rng.uniform(0.7, 1.1), 2 * half + 6.0
    for along in np.arange(side.road.start, side.road.end, 4.0):
        place = side.place(along + 2.0, 0.0)
        props.block(place, (4.6, wide, 0.3), height, "plaster", tint)
        if rng.random() < 0.6:
            props.block(place, (1.2, 0.3, 0.04), height - 0.04, "metal", 1.5)


_CLEAR_M = 0.7  # half the path's width
_TILES = ("brick", "crate", "planks", "sign_a", "sign_b", "plaster")


def posts(props: Props, road: Road) -> Layout:
    """Posts within arm's reach and walls that end at the path, before distant facades."""
    rng = props.rng
    side = Roadside(road, _CLEAR_M)
    spacing = rng.uniform(1.2, 2.2)
    for sign in (-1, 1):
        for along in np.arange(road.start, road.end, spacing):
            _post(props, side, along + rng.uniform(-0.3, 0.3), sign * rng.uniform(1.0, 2.4))
        for along in np.arange(road.start, road.end, 5.0):
            _corner(props, side, along + rng.uniform(0.0, 2.5), sign)
        _facades(props, side, sign * rng.uniform(8.0, 13.0))
    ground = str(rng.choice(["slabs", "gravel", "concrete"]))
    return Layout(GroundStyle((Band(np.inf, ground, random_tint(rng)),)), _CLEAR_M, 0.0)


def _post(props: Props, side: Roadside, along: float, lateral: float) -> None:
    rng = props.rng
    place = side.place(along, lateral, rng.uniform(0.0, 6.28))
    radius, height = rng.uniform(0.06, 0.2), rng.uniform(2.2, 3.5)
    if not side.is_clear(place, radius):
        return
    tile, tint = str(rng.choice(_TILES)), rng.uniform(0.5, 1.2, 3)
    if rng.random() < 0.5:
        half = (radius, radius, height / 2)
        props.solids.add(CYLINDER, (place.x, place.y, height / 2), half, 0.0, tile, tint)
    else:
        props.block(place, (2 * radius, 2 * radius, height), 0.0, tile, tint)


def _corner(props: Props, side: Roadside, along: float, sign: int) -> None:
    """A wall across, that ends at the path and hides what is behind it."""
    rng = props.rng
    width, gap = rng.uniform(1.5, 4.0), rng.uniform(0.4, 1.6)
    place = side.place(along, sign * (_CLEAR_M + gap + width / 2))
    if side.is_clear(place, width / 2 - 0.1):
        tile = str(rng.choice(["brick", "planks", "facade_a", "plaster"]))
        props.block(place, (0.25, width, rng.uniform(1.6, 3.2)), 0.0, tile, rng.uniform(0.6, 1.1))


def _facades(props: Props, side: Roadside, lateral: float) -> None:
    for along in np.arange(side.road.start, side.road.end, 6.0):
        place = side.place(along, lateral)
        if side.is_clear(place, 3.0):
            tile = str(props.rng.choice(FACADES))
            props.block(place, (6.2, 0.4, 8.0), 0.0, ("plaster", tile, "concrete"))
