# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A place where much is hidden and uncovered from image to image: posts and corners by a path."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.world.ground import Band, GroundStyle
from sfm_depth_ros.world.layout import Layout, Roadside, random_tint
from sfm_depth_ros.world.objects import CYLINDER
from sfm_depth_ros.world.props import FACADES, Props
from sfm_depth_ros.world.road import Road

_CLEAR_M = 0.7  # half the path's width
_TILES = ("brick", "crate", "planks", "sign_a", "sign_b", "plaster")


def posts(props: Props, road: Road) -> Layout:
    """Posts within arm's reach and walls that end beside the path, before distant facades."""
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
    """A wall across, that ends beside the path and hides what is behind it."""
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
