# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Crowded places: suburbs, avenues full of traffic, roads through woods."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.world import street_clutter as clutter
from sfm_depth_ros.world import vegetation
from sfm_depth_ros.world.ground import Band, GroundStyle, Line
from sfm_depth_ros.world.layout import Layout, Rng, Roadside, country_bands, random_tint
from sfm_depth_ros.world.objects import BALL
from sfm_depth_ros.world.props import Props
from sfm_depth_ros.world.road import Road

ROADWAYS = ("asphalt", "asphalt_old", "patched", "patched", "concrete", "slabs")
LANE_M = 3.2


def suburb(props: Props, road: Road) -> Layout:
    """A residential road: hedges, walls, garages, houses, trees and parked cars close to it."""
    rng = props.rng
    half, walk = rng.uniform(2.4, 4.6), rng.uniform(0.8, 2.6)
    side = Roadside(road, half)
    parked = float(rng.choice([0.0, 0.25, 0.6, 0.85]))
    for sign in (-1, 1):
        for span in clutter.spans(rng, road.start, road.end, (12, 50), (0, 6)):
            _plot(props, side, sign, half + walk, span)
        for along in np.arange(road.start, road.end, rng.uniform(5.6, 8.0)):
            if rng.random() < parked:
                yaw = np.pi if rng.random() < 0.4 else 0.0
                lateral = half - 0.9 if half > 3.5 else half + 0.6
                place = side.place(along, sign * lateral, yaw + rng.normal(0, 0.03))
                clutter.car_with_shadow(props, place)
        _thin_things(props, side, sign, half + 0.4)
    clutter.kerbs(props, side, half)
    vegetation.hills(props, side)
    lane = float(rng.choice([-0.4, 0.0, 0.3], p=[0.6, 0.3, 0.1])) * (half - 1.9)
    return Layout(_ground(rng, half, walk, 1), half, lane, True)


def _plot(
    props: Props, side: Roadside, sign: int, front: float, span: tuple[float, float]
) -> None:
    """What lies between the pavement and the next plot."""
    rng = props.rng
    kind = rng.integers(7)
    setback = rng.uniform(1.5, 9.0)
    if kind == 0:
        clutter.terrace(props, side, sign, front, span)
        return
    if kind == 1:
        clutter.garage_row(props, side, sign, front + rng.uniform(0, 3), span)
    elif kind == 2:
        vegetation.bank(props, side, sign, front, span)
        setback += 4.0
    elif kind <= 4:
        vegetation.hedge_wall(props, side, sign, front, span)
    else:
        clutter.wall_row(props, side, sign, front, span)
    if rng.random() < 0.75:
        clutter.terrace(props, side, sign, front + setback + 2.5, span)
    else:
        vegetation.wood_edge(props, side, sign, front + setback, span)
    for along in np.arange(*span, rng.uniform(6, 14)):
        place = side.place(along, sign * (front + rng.uniform(0.5, setback + 1.0)))
        if side.is_clear(place, 0.8):
            tint = rng.uniform(0.55, 1.1) * (1 + rng.normal(0, 0.06, 3))
            tile = str(rng.choice(vegetation.LEAVES))
            vegetation.branched_tree(props, place, rng.uniform(3, 12), tile, tint)


def _thin_things(props: Props, side: Roadside, sign: int, lateral: float) -> None:
    """Posts, signs, bins and people at the edge of the roadway."""
    rng = props.rng
    for along in np.arange(side.road.start, side.road.end, rng.uniform(8, 25)):
        place = side.place(along + rng.uniform(-3, 3), sign * (lateral + rng.uniform(0, 0.6)))
        kind = rng.integers(6)
        if kind <= 2:
            props.pole(place, rng.uniform(2.2, 3.2) if kind == 0 else rng.uniform(4, 9))
        elif kind == 3:
            props.person(place)
        elif kind == 4:
            props.block(
                place, (0.6, 0.6, rng.uniform(0.8, 1.4)), 0.0, "metal", rng.uniform(0.2, 1)
            )
        else:
            props.block(place, (0.12, 0.12, rng.uniform(0.7, 1.2)), 0.0, "metal", 0.8)


def avenue(props: Props, road: Road) -> Layout:
    """Several lanes with standing queues, lorries, rails, bridges, blocks of houses or trees."""
    rng = props.rng
    lanes = int(rng.integers(1, 4))  # in each direction
    half = lanes * LANE_M + rng.uniform(0.3, 1.5)
    side = Roadside(road, half)
    own = int(rng.integers(lanes))
    fullness = rng.uniform(0.1, 0.95)
    for lane in range(lanes):
        lateral = (lane + 0.5) * LANE_M
        if lane != own:
            clutter.queue(props, side, clutter.Queue(-lateral, fullness))
        if lane != 0 or rng.random() < 0.7:
            clutter.queue(props, side, clutter.Queue(lateral, fullness * 0.8, is_oncoming=True))
    for sign in (-1, 1):
        for span in clutter.spans(rng, road.start, road.end, (20, 90), (0, 12)):
            _avenue_side(props, side, sign, half + rng.uniform(0.6, 6.0), span)
        _thin_things(props, side, sign, half + 0.5)
    if rng.random() < 0.6:
        for along in np.arange(rng.uniform(20, 60), road.end - 20, rng.uniform(60, 150)):
            clutter.bridge(props, side, float(along), half)
    vegetation.hills(props, side)
    return Layout(_ground(rng, half, 2.0, lanes), half, -(own + 0.5) * LANE_M, False)


def _avenue_side(
    props: Props, side: Roadside, sign: int, front: float, span: tuple[float, float]
) -> None:
    rng = props.rng
    kind = rng.integers(5)
    if kind <= 1:
        clutter.terrace(props, side, sign, front + rng.uniform(1, 8), span)
    elif kind == 2:
        clutter.guard_rail(props, side, sign, front, span)
        vegetation.wood_edge(props, side, sign, front + 3.0, span)
    elif kind == 3:
        clutter.guard_rail(props, side, sign, front, span)
    else:
        clutter.wall_row(props, side, sign, front, span)
        vegetation.hedge_wall(props, side, sign, front + 1.5, span)


def wood(props: Props, road: Road) -> Layout:
    """A road through woods and fields: hedges and trunks near it, banks, clearings, few houses."""
    rng = props.rng
    half, verge = rng.uniform(1.8, 4.0), rng.uniform(0.4, 2.5)
    side = Roadside(road, half)
    for sign in (-1, 1):
        for span in clutter.spans(rng, road.start, road.end, (10, 60), (0, 25)):
            _country_side(props, side, sign, half + verge, span)
        for along in np.arange(road.start, road.end, rng.uniform(12, 45)):
            place = side.place(along, sign * (half + rng.uniform(0.4, 1.2)))
            tall = rng.random() < 0.3
            if tall:
                props.pole(place, rng.uniform(5, 9))
            else:
                props.block(place, (0.1, 0.1, 1.0), 0.0, "metal", rng.uniform(0.5, 1.2))
        if rng.random() < 0.3:
            for span in clutter.spans(rng, road.start, road.end, (20, 60), (30, 100)):
                clutter.guard_rail(props, side, sign, half + 0.6, span)
        _tufts(props, side, sign, half)
    vegetation.hills(props, side)
    lane = float(rng.choice([-0.45, 0.0])) * half
    return Layout(_country_ground(rng, half, verge), half, lane, True)


def _country_side(
    props: Props, side: Roadside, sign: int, front: float, span: tuple[float, float]
) -> None:
    rng = props.rng
    kind = rng.integers(6)
    if kind <= 1:
        vegetation.wood_edge(props, side, sign, front + rng.uniform(0, 6), span)
    elif kind == 2:
        vegetation.hedge_wall(props, side, sign, front + rng.uniform(0, 2), span)
    elif kind == 3:
        vegetation.bank(props, side, sign, front, span)
        vegetation.wood_edge(props, side, sign, front + 6.5, span)
    elif kind == 4:
        far = front + rng.uniform(8, 40)
        vegetation.wood_edge(props, side, sign, far, span)
    else:
        clutter.wall_row(props, side, sign, front, span)
        clutter.terrace(props, side, sign, front + rng.uniform(4, 12), span)


def _tufts(props: Props, side: Roadside, sign: int, half: float) -> None:
    """High grass and low shrubs at the edge."""
    rng = props.rng
    for along in np.arange(side.road.start, side.road.end, 2.2):
        if rng.random() < 0.5:
            place = side.place(along, sign * (half + rng.uniform(0.5, 4.0)))
            size = rng.uniform(0.15, 0.5)
            half_size = (size * 2, size, size)
            tint = rng.uniform(0.7, 1.2)
            centre = (place.x, place.y, 0.3 * size)
            props.solids.add(BALL, centre, half_size, place.yaw, "grass", tint)


def _ground(rng: Rng, half: float, walk: float, lanes: int) -> GroundStyle:
    surface = str(rng.choice(ROADWAYS))
    pavement = [str(rng.choice(["slabs", "concrete", "asphalt", "gravel"])) for _ in range(2)]
    beyond = [str(rng.choice(["grass", "grass", "slabs", "gravel"])) for _ in range(2)]
    bands = [
        Band(-half - walk, beyond[0], random_tint(rng)),
        Band(-half, pavement[0], random_tint(rng)),
        Band(half, surface, random_tint(rng, 0.8, 1.2)),
        Band(half + walk, pavement[1], random_tint(rng)),
        Band(np.inf, beyond[1], random_tint(rng)),
    ]
    lines = []
    for lane in range(-lanes + 1, lanes):
        if rng.random() < (0.9 if lanes > 1 else 0.4):
            whole = lane == 0 and rng.random() < 0.5
            lines.append(Line(lane * LANE_M, 0.13, *((1.0, 1.0) if whole else (4.0, 9.0)), 0.8))
    if rng.random() < 0.4:
        lines += [Line(at, 0.13, 1.0, 1.0, 0.75) for at in (-half + 0.3, half - 0.3)]
    return GroundStyle(tuple(bands), tuple(lines))


def _country_ground(rng: Rng, half: float, verge: float) -> GroundStyle:
    surface = str(rng.choice(["asphalt", "asphalt_old", "patched", "gravel"]))
    edge, field = str(rng.choice(["grass", "gravel"])), str(rng.choice(["grass", "soil"]))
    bands = country_bands(rng, half, verge, (surface, edge, field))
    lines = []
    if rng.random() < 0.5:
        lines = [Line(at, 0.13, 1.0, 1.0, 0.8) for at in (-half + 0.2, half - 0.2)]
    if rng.random() < 0.5:
        lines.append(Line(0.0, 0.13, 4.0, 9.0, 0.8))
    return GroundStyle(bands, tuple(lines))
