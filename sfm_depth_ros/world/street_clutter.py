# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clutter at and over roads: kerbs, walls, garages, rails, queues of vehicles, bridges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.world import vehicles
from sfm_depth_ros.world.layout import Rng, Roadside
from sfm_depth_ros.world.objects import CYLINDER
from sfm_depth_ros.world.props import FACADES, Place, Props

Span = tuple[float, float]


def spans(rng: Rng, start: float, end: float, lengths: Span, gaps: Span) -> list[Span]:
    """Random stretches along the road with gaps between them."""
    found, along = [], start + float(rng.uniform(*gaps))
    while along < end:
        stop = along + float(rng.uniform(*lengths))
        found.append((along, min(stop, end)))
        along = stop + float(rng.uniform(*gaps))
    return found


def kerbs(props: Props, side: Roadside, half: float) -> None:
    """Raised stones along both edges of the roadway."""
    rng = props.rng
    height, tint = rng.uniform(0.06, 0.16), rng.uniform(0.8, 1.2)
    for sign in (-1, 1):
        for along in np.arange(side.road.start + 15, side.road.end - 60, 3.0):
            place = side.place(along, sign * (half + 0.1))
            props.block(place, (3.05, 0.18, height), 0.0, "concrete", tint)


def car_with_shadow(props: Props, place: Place, van_share: float = 0.13) -> None:
    """A car or van, and the dark gap under it, which the sky's light does not reach."""
    rng = props.rng
    if rng.random() >= van_share:
        vehicles.car(props, place)
        return
    props.van(place)
    props.block(place, (5.4, 2.3, 0.02), 0.0, "asphalt", 0.2)


def wall_row(props: Props, side: Roadside, sign: int, lateral: float, span: Span) -> None:
    """A garden wall or fence of steps, whose height changes with every piece."""
    rng = props.rng
    kind = str(rng.choice(["plaster", "brick", "concrete", "planks", "railing", "stone"]))
    base = rng.uniform(0.4, 2.0)
    for along in np.arange(*span, 3.0):
        place = side.place(along, sign * lateral)
        if kind in ("planks", "railing"):
            props.fence(place, 3.05, kind)
            continue
        height = max(0.3, base + rng.normal(0, 0.15))
        props.block(place, (3.05, 0.3, height), 0.0, kind, rng.uniform(0.85, 1.1))
        if kind != "concrete":
            props.block(place, (3.08, 0.4, 0.08), height, "concrete", 0.9)


def garage_row(props: Props, side: Roadside, sign: int, lateral: float, span: Span) -> None:
    """Flat garages side by side, doors to the road."""
    rng = props.rng
    tint = rng.uniform(0.7, 1.1)
    for along in np.arange(*span, 3.2):
        place = side.place(along, sign * (lateral + 2.7))
        if side.is_clear(place, 2.6):
            tiles = ("plaster", "garage", "concrete")
            props.block(place, (3.2, 5.4, 2.6), 0.0, tiles, tint)


def terrace(props: Props, side: Roadside, sign: int, front: float, span: Span) -> None:
    """Houses wall to wall with bays, balconies, steps and dormers; 2 to 5 storeys."""
    rng = props.rng
    along, storeys = span[0], int(rng.integers(2, 5))
    while along < span[1]:
        width, depth = rng.uniform(7, 16), rng.uniform(8, 13)
        place = side.place(along + width / 2, sign * (front + depth / 2 + rng.uniform(0, 0.8)))
        if side.is_clear(place, depth / 2):
            props.house(place, (width, depth), max(1, storeys + int(rng.integers(-1, 2))))
            _front_details(props, place, -sign * depth / 2, width, storeys)
        along += width + (rng.uniform(2, 6) if rng.random() < 0.25 else 0.05)


def _front_details(props: Props, place: Place, front: float, width: float, storeys: int) -> None:
    """Things that stick out of a front, at ``front`` metres to the left of the house's middle."""
    rng = props.rng
    out = np.sign(front)
    for _ in range(int(rng.integers(0, 4))):
        at = rng.uniform(-0.4, 0.4) * width
        level = 3.0 * int(rng.integers(0, max(storeys, 1)))
        kind = rng.integers(3)
        if kind == 0:  # balcony
            props.part(place, (at, front + out * 0.6), (2.4, 1.2, 1.0), level + 2.9, "concrete")
        elif kind == 1:  # bay
            size = (2.2, 1.0, 2.6)
            props.part(place, (at, front + out * 0.4), size, level + 0.2, FACADES[0], 0.9)
        else:  # steps and porch
            props.part(place, (at, front + out * 0.7), (1.6, 1.4, 0.5), 0.0, "concrete", 0.9)


def guard_rail(props: Props, side: Roadside, sign: int, lateral: float, span: Span) -> None:
    """A steel rail on posts, or a low concrete barrier."""
    rng = props.rng
    is_concrete = rng.random() < 0.3
    for along in np.arange(*span, 3.0):
        place = side.place(along, sign * lateral)
        if is_concrete:
            props.block(place, (3.05, 0.4, 0.85), 0.0, "concrete", 1.0)
        else:
            props.block(place, (3.05, 0.08, 0.3), 0.45, "metal", 0.75)
            props.block(place, (0.1, 0.1, 0.7), 0.0, "metal", 0.5)


@dataclass(frozen=True)
class Queue:
    """Vehicles that stand in a lane."""

    lateral: float  # Middle of the lane, metres left of the centre line
    share: float  # How full it is, 0 to 1
    is_oncoming: bool = False


def queue(props: Props, side: Roadside, lane: Queue) -> None:
    """Cars, vans, lorries and tankers at random distances in one lane."""
    rng = props.rng
    along, yaw = side.road.start + rng.uniform(0, 10), np.pi if lane.is_oncoming else 0.0
    while along < side.road.end - 20:
        place = side.place(along, lane.lateral + rng.normal(0, 0.15), yaw + rng.normal(0, 0.02))
        gap = 6.0
        if rng.random() < lane.share:
            if rng.random() < 0.14:
                lorry(props, place)
                gap = 13.0
            else:
                car_with_shadow(props, place, 0.2)
        along += gap + rng.exponential(4.0)


def lorry(props: Props, place: Place) -> None:
    """A cab with a box, a tilt or a tank behind it, on dark wheels."""
    rng = props.rng
    paint, tint = rng.uniform(0.15, 1.0, 3), rng.uniform(0.15, 1.0, 3)
    length, high = rng.uniform(5.0, 9.5), rng.uniform(2.2, 3.0)
    cab = ("car_front", "van_side", "metal")
    props.part(place, (length / 2 + 1.1, 0.0), (2.1, 2.4, 2.7), 0.5, cab, paint)
    props.part(place, (0.0, 0.0), (length, 2.3, 0.5), 0.55, "metal", 0.25)
    if rng.random() < 0.35:
        c, s = np.cos(place.yaw), np.sin(place.yaw)
        radius = 1.15
        axes = np.array([[0, 0, c * length / 2], [0, 0, s * length / 2], [0, 0, 0]])
        axes[:, 0] = [-s * radius, c * radius, 0]
        axes[:, 1] = [0, 0, radius]
        centre = (place.x, place.y, 1.1 + radius)
        props.solids.add_affine(CYLINDER, centre, axes, "metal", tint)
    else:
        tile = str(rng.choice(["van_side", "metal", "sign_a", "plaster"]))
        props.part(place, (0.0, 0.0), (length, 2.5, high), 1.05, (tile, tile, "metal"), tint)
        rear = (-length / 2 - 0.03, 0.0)
        props.part(place, rear, (0.06, 2.4, 0.8), 0.5, "car_rear", tint)
    for at in (-0.38 * length, -0.22 * length, length / 2 + 0.9):
        for left in (-1.1, 1.1):
            x, y = place.offset(at, left)
            vehicles.wheel(props, Place(x, y, place.yaw), 0.5)


def bridge(props: Props, side: Roadside, along: float, half: float) -> None:
    """A bridge or sign gantry across the road, on piers beside it."""
    rng = props.rng
    clear, wide = rng.uniform(4.3, 6.5), half + rng.uniform(1.0, 6.0)
    middle = side.place(along, 0.0, rng.normal(0, 0.15))
    if rng.random() < 0.4:  # gantry
        props.block(middle, (0.4, 2 * wide, 0.5), clear + 0.5, "metal", 0.6)
        props.block(middle, (0.2, 3.5, 2.2), clear + 0.3, "sign_a", rng.uniform(0.5, 1.0))
    else:
        deep = rng.uniform(3.0, 14.0)
        props.block(middle, (deep, 4 * wide, rng.uniform(0.7, 1.6)), clear, "concrete", 0.9)
        props.block(middle, (deep, 4 * wide, 0.1), clear + 2.3, "metal", 0.5)
    for left in (-wide, wide):
        x, y = middle.offset(0.0, left)
        thick = rng.uniform(0.3, 1.2)
        props.block(Place(x, y, middle.yaw), (thick, thick, clear + 0.6), 0.0, "concrete", 0.85)
