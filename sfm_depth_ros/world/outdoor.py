# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Streets and country roads."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.world.ground import Band, Crossing, GroundStyle, Line
from sfm_depth_ros.world.layout import Layout, Rng, Roadside, country_bands, random_tint
from sfm_depth_ros.world.props import Place, Props
from sfm_depth_ros.world.road import Road

PARKING_HALF_M = 3.6  # roads of at least twice this have room for parked cars
ROADWAYS, ROADWAY_SHARES = ("asphalt", "asphalt_old", "concrete", "slabs"), (0.4, 0.4, 0.1, 0.1)
PAVEMENTS, PAVEMENT_SHARES = ("slabs", "concrete", "asphalt", "gravel"), (0.4, 0.3, 0.2, 0.1)
LANES, LANE_SHARES = ("asphalt", "asphalt_old", "gravel", "soil"), (0.45, 0.3, 0.15, 0.1)


def street(props: Props, road: Road) -> Layout:
    """A street between houses, with parked cars, trees, gardens, poles."""
    rng = props.rng
    half, walk = rng.uniform(2.6, 4.8), rng.uniform(1.2, 3.2)
    parks_on_road = half > PARKING_HALF_M
    side = Roadside(road, half)
    density, tall = rng.uniform(0.0, 1.0), int(rng.integers(1, 5))
    setback = rng.uniform(0.0, 8.0)
    for sign in (-1, 1):
        _park_cars(props, side, sign, half, rng.uniform(0, 0.9), walk)
        _row_of_houses(props, side, sign, half + walk + setback, density, tall)
        _garden_line(props, side, sign, half + walk + 0.3, setback)
        _street_trees(props, side, sign, half + rng.uniform(0.5, walk), rng.uniform(8, 30))
        _poles(props, side, sign, half + 0.5, rng.uniform(15, 40))
    _backdrop(props, side, 60.0)
    # Robots and cars keep off the parked cars (2 m wide with their gap to the kerb).
    lane = _lane(rng, half - 2.0 if parks_on_road else half)
    return Layout(_street_ground(rng, half, walk, road), half, lane, True)


def _lane(rng: Rng, half: float) -> float:
    return float(rng.choice([-0.45, 0.0, 0.45], p=[0.6, 0.25, 0.15]) * half)


def _street_ground(rng: Rng, half: float, walk: float, road: Road) -> GroundStyle:
    surface = str(rng.choice(ROADWAYS, p=ROADWAY_SHARES))
    pavement = str(rng.choice(PAVEMENTS, p=PAVEMENT_SHARES))
    garden = [str(rng.choice(["grass", "concrete", "gravel", "grass"])) for _ in range(2)]
    near, bands = random_tint(rng), []
    for edge, tile in ((-half - walk, garden[0]), (-half, pavement)):
        bands.append(Band(edge, tile, random_tint(rng)))
    bands.append(Band(half, surface, near))
    for edge, tile in ((half + walk, pavement), (np.inf, garden[1])):
        bands.append(Band(edge, tile, random_tint(rng)))
    kerb = rng.uniform(0.4, 0.75)
    lines = [Line(lateral, 0.16, 1.0, 1.0, kerb) for lateral in (-half - 0.08, half + 0.08)]
    if rng.random() < 0.5:
        lines.append(Line(0.0, 0.12, *((3.0, 6.0) if rng.random() < 0.7 else (1.0, 1.0)), 0.8))
    if rng.random() < 0.25:
        lines += [Line(at, 0.12, 1.0, 1.0, 0.78) for at in (-half + 0.3, half - 0.3)]
    zebras = [
        Crossing(float(at), 3.5, -half + 0.2, half - 0.2)
        for at in np.arange(rng.uniform(10, 80), road.end, 150.0)
        if rng.random() < 0.5
    ]
    return GroundStyle(tuple(bands), tuple(lines), tuple(zebras))


def _park_cars(
    props: Props, side: Roadside, sign: int, half: float, share: float, walk: float
) -> None:
    rng = props.rng
    lateral = half - 0.95 if half > PARKING_HALF_M else half + min(0.9, walk / 2)
    for along in np.arange(side.road.start + 5, side.road.end - 5, rng.uniform(5.6, 7.5)):
        if rng.random() > share:
            continue
        yaw = np.pi if rng.random() < (0.15 if sign < 0 else 0.85) else 0.0
        shift = rng.uniform(-0.4, 0.4), rng.uniform(-0.12, 0.12)
        place = side.place(along + shift[0], sign * lateral + shift[1], yaw + rng.normal(0, 0.03))
        (props.van if rng.random() < 0.13 else props.car)(place)


def _row_of_houses(
    props: Props, side: Roadside, sign: int, front: float, density: float, tall: int
) -> None:
    rng = props.rng
    along = side.road.start
    while along < side.road.end:
        width, depth = rng.uniform(7, 20), rng.uniform(7, 13)
        jitter = rng.uniform(0, 2.5)
        place = side.place(along + width / 2, sign * (front + jitter + depth / 2))
        if rng.random() < 0.9 and side.is_clear(place, 0.5 * depth):
            storeys = max(1, int(rng.integers(tall - 1, tall + 2)))
            props.house(place, (width, depth), storeys)
        gap = rng.uniform(0, 3) if rng.random() < density else rng.uniform(4, 16)
        for _ in range(int(gap // 5)):
            away = sign * (front + rng.uniform(1, 9))
            spot = side.place(along + width + rng.uniform(0, gap), away)
            _some_tree(props, side, spot)
        along += width + gap


def _some_tree(props: Props, side: Roadside, place: Place) -> None:
    rng = props.rng
    if not side.is_clear(place, 1.5):
        return
    if rng.random() < 0.25:
        props.conifer(place, rng.uniform(5, 14))
    else:
        props.tree(place, rng.uniform(4, 12), int(rng.integers(5, 10)))


def _garden_line(props: Props, side: Roadside, sign: int, lateral: float, setback: float) -> None:
    rng = props.rng
    if setback < 1.5 or rng.random() < 0.2:
        return
    kinds = ["hedge", "planks", "railing", "brick", "plaster"]
    along = side.road.start
    while along < side.road.end:
        length, kind = rng.uniform(3, 9), str(rng.choice(kinds))
        place = side.place(along + length / 2, sign * lateral)
        if rng.random() < 0.75:
            props.fence(place, length, kind)
        if rng.random() < 0.5:
            inner = lateral + rng.uniform(0.8, max(setback, 1.0))
            props.bush(side.place(along, sign * inner), rng.uniform(0.4, 1.2))
        along += length + rng.choice([0.0, 1.2, 4.0])


def _street_trees(props: Props, side: Roadside, sign: int, lateral: float, spacing: float) -> None:
    rng = props.rng
    if rng.random() < 0.4:
        return
    size = rng.uniform(4, 11)
    for along in np.arange(side.road.start, side.road.end, spacing):
        place = side.place(along + rng.uniform(-2, 2), sign * lateral)
        props.tree(place, size * rng.uniform(0.8, 1.2), int(rng.integers(5, 9)))


def _poles(props: Props, side: Roadside, sign: int, lateral: float, spacing: float) -> None:
    rng = props.rng
    for along in np.arange(side.road.start, side.road.end, spacing):
        place = side.place(along + rng.uniform(-4, 4), sign * (lateral + rng.uniform(0, 0.5)))
        height = rng.uniform(2.2, 3.0) if rng.random() < 0.5 else rng.uniform(5, 8.5)
        props.pole(place, height)


def _backdrop(props: Props, side: Roadside, lateral: float) -> None:
    """Woods and tall houses far away, so that the horizon is closed in places."""
    rng = props.rng
    if rng.random() < 0.25:
        return
    tint = rng.uniform(0.5, 1.0)
    height, density = rng.uniform(5, 16), rng.uniform(0.3, 1.0)
    for along in np.arange(side.road.start, side.road.end + 60, 9.0):
        for sign in (-1, 1):
            away = sign * lateral * rng.uniform(0.7, 1.4)
            place = side.place(min(along, side.road.end - 1), away)
            if rng.random() < density and side.is_clear(place, height + 8):
                props.thicket(place, height * rng.uniform(0.7, 1.3), tint)
    for sideways in np.arange(-70.0, 70.0, 8.0):
        place = side.place(side.road.end - 1, sideways)
        if rng.random() < density:
            props.thicket(place, height * rng.uniform(0.7, 1.3), tint)


def country(props: Props, road: Road) -> Layout:
    """A road through fields and woods, with few houses."""
    rng = props.rng
    half, verge = rng.uniform(1.6, 4.0), rng.uniform(0.5, 2.5)
    side = Roadside(road, half)
    woods = rng.uniform(0.05, 1.0)
    for sign in (-1, 1):
        for along in np.arange(road.start, road.end, 3.5):
            if rng.random() < woods * 0.8:
                away = half + verge + 0.8 + rng.exponential(8.0)
                _some_tree(props, side, side.place(along, sign * away))
            if rng.random() < 0.35:
                away = half + rng.uniform(0.5, 6)
                props.bush(side.place(along, sign * away), rng.uniform(0.2, 0.9))
        _poles(props, side, sign, half + 1.0, rng.uniform(25, 60))
        for along in np.arange(road.start, road.end, 45.0):
            place = side.place(along + rng.uniform(0, 30), sign * rng.uniform(14, 40))
            if rng.random() < 0.35 and side.is_clear(place, 8.0):
                size = rng.uniform(8, 16), rng.uniform(7, 11)
                props.house(place, size, int(rng.integers(1, 3)))
        if rng.random() < 0.4:
            _garden_line(props, side, sign, half + verge + 0.5, 3.0)
        if rng.random() < 0.25:
            _park_cars(props, side, sign, half, rng.uniform(0, 0.25), 2.0)
    _backdrop(props, side, rng.uniform(35, 80))
    return Layout(_country_ground(rng, half, verge), half, _lane(rng, half), True)


def _country_ground(rng: Rng, half: float, verge: float) -> GroundStyle:
    surface = str(rng.choice(LANES, p=LANE_SHARES))
    edge, field = str(rng.choice(["grass", "gravel", "soil"])), str(rng.choice(["grass", "soil"]))
    bands = country_bands(rng, half, verge, (surface, edge, field))
    lines = []
    if surface.startswith("asphalt") and rng.random() < 0.6:
        lines = [Line(at, 0.12, 1.0, 1.0, 0.8) for at in (-half + 0.2, half - 0.2)]
    if surface.startswith("asphalt") and rng.random() < 0.6:
        lines.append(Line(0.0, 0.12, 4.0, 12.0, 0.8))
    return GroundStyle(bands, tuple(lines))
