# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rooms one after the other, with doors between them and furniture at their walls."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.world.ground import Band, GroundStyle
from sfm_depth_ros.world.layout import Layout, Roadside, random_tint
from sfm_depth_ros.world.props import Place, Props
from sfm_depth_ros.world.road import Road

DOOR_HALF_M = 0.65
WALL_TILES = ("room_wall", "room_wall", "room_door", "plaster")


def rooms(props: Props, road: Road) -> Layout:
    """Rooms of 4 to 10 m along the path, each with its own width, height of things and colours."""
    rng = props.rng
    height = rng.uniform(2.3, 3.6)
    side = Roadside(road, 0.5)
    widest = 3.0
    along = road.start
    while along < road.end:
        length, half = rng.uniform(4.0, 10.0), rng.uniform(1.8, 5.0)
        _room(props, side, (along, length), half, height)
        widest, along = max(widest, half), along + length
    tint = rng.uniform(0.7, 1.1)
    for at in np.arange(road.start, road.end, 4.0):
        place = side.place(at + 2.0, 0.0)
        props.block(place, (4.6, 2 * widest + 2, 0.3), height, "plaster", tint)
        if rng.random() < 0.7:
            lamp = Place(*place.offset(0.0, rng.uniform(-1, 1)), place.yaw)
            props.block(lamp, (1.2, 0.3, 0.04), height - 0.04, "metal", 1.6)
    floor = Band(np.inf, str(rng.choice(["floor", "planks", "floor"])), random_tint(rng, 0.7, 1.2))
    return Layout(GroundStyle((floor,)), 0.6, 0.0)


def _room(
    props: Props, side: Roadside, span: tuple[float, float], half: float, height: float
) -> None:
    rng = props.rng
    along, length = span
    tint = rng.uniform(0.65, 1.1) * (1 + rng.normal(0, 0.05, 3))
    for sign in (-1, 1):
        tile = str(rng.choice(WALL_TILES))
        wall = side.place(along + length / 2, sign * (half + 0.1))
        props.block(wall, (length + 0.4, 0.2, height + 0.1), 0.0, tile, tint)
        wide = half + 1.0 - DOOR_HALF_M
        end = side.place(along, sign * (DOOR_HALF_M + wide / 2))
        props.block(end, (0.15, wide, height + 0.1), 0.0, "room_wall", tint)
        for at in np.arange(along + 0.6, along + length - 0.6, rng.uniform(0.9, 2.2)):
            lateral = sign * (half - rng.uniform(0.25, 0.5))
            _furnish(props, side.place(at, lateral, rng.normal(0, 0.1)))
        if half > 2.5:
            for at in np.arange(along + 1.2, along + length - 1.0, 2.6):
                if rng.random() < 0.5:
                    place = side.place(at, sign * rng.uniform(1.5, half - 0.9), rng.normal(0, 0.4))
                    _table_and_chairs(props, place)
    lintel = side.place(along, 0.0)
    props.block(lintel, (0.15, 2 * DOOR_HALF_M, height - 2.0), 2.05, "room_wall", tint)


def _furnish(props: Props, place: Place) -> None:
    """One piece at a wall: cupboard, shelf, chest, sofa, plant, picture, person or nothing."""
    rng = props.rng
    kind, tint = rng.integers(9), rng.uniform(0.3, 1.2, 3)
    wood = str(rng.choice(["planks", "metal", "plaster", "crate"]))
    if kind == 0:
        props.block(place, (rng.uniform(0.6, 1.4), 0.5, rng.uniform(1.5, 2.2)), 0.0, wood, tint)
    elif kind == 1:
        props.block(place, (rng.uniform(0.7, 1.5), 0.4, rng.uniform(1.0, 2.1)), 0.0, "shelf")
    elif kind == 2:
        props.block(place, (rng.uniform(0.6, 1.4), 0.5, rng.uniform(0.5, 1.0)), 0.0, wood, tint)
        props.block(place, (0.3, 0.2, 0.3), rng.uniform(0.9, 1.0), "sign_a", tint)
    elif kind == 3:
        props.block(place, (1.8, 0.8, 0.42), 0.0, "person_a", tint)
        props.part(place, (0.0, 0.0), (1.8, 0.25, 0.85), 0.0, "person_a", tint)
    elif kind == 4:
        props.foliage((place.x, place.y, rng.uniform(0.6, 1.2)), 0.4, tint, "foliage_a")
        props.block(place, (0.35, 0.35, 0.4), 0.0, "metal", 0.6)
    elif kind == 5:
        props.block(place, (1.0, 0.6, 0.02), rng.uniform(1.2, 1.6), "sign_b", tint)
    elif kind == 6 and rng.random() < 0.4:
        props.person(place)


def _table_and_chairs(props: Props, place: Place) -> None:
    rng = props.rng
    length, width = rng.uniform(0.7, 1.8), rng.uniform(0.6, 0.9)
    tint = rng.uniform(0.5, 1.2)
    props.block(place, (length, width, 0.04), 0.72, "planks", tint)
    for f in (-0.45, 0.45):
        for g in (-0.42, 0.42):
            props.part(place, (f * length, g * width), (0.05, 0.05, 0.72), 0.0, "metal", 0.5)
    if rng.random() < 0.7:
        props.part(place, (rng.uniform(-0.3, 0.3), 0.0), (0.35, 0.3, 0.3), 0.76, "sign_a", tint)
    for left in (-1, 1):
        if rng.random() < 0.8:
            at = (rng.uniform(-0.3, 0.3), left * (width / 2 + 0.15))
            props.part(place, at, (0.42, 0.42, 0.05), 0.44, "planks", tint * 0.8)
            back = (at[0], at[1] + left * 0.2)
            props.part(place, back, (0.42, 0.04, 0.5), 0.45, "planks", tint * 0.8)
            for f in (-0.18, 0.18):
                props.part(place, (at[0] + f, at[1]), (0.04, 0.36, 0.44), 0.0, "metal", 0.4)
