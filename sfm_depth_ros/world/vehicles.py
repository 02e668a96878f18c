# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cars with a rounded body, a cabin of glass, wheels, and the dark gap under them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.world.objects import BALL, BOX, CYLINDER
from sfm_depth_ros.world.props import Place, Props

CLEARANCE_M = 0.17
WHEEL_M = 0.31  # radius
# Square roots of reflectance: black, greys, silver, white, dark blue, red, green, beige
PAINTS = (
    (0.12, 0.12, 0.13), (0.3, 0.3, 0.32), (0.48, 0.49, 0.5), (0.68, 0.68, 0.68),
    (0.92, 0.92, 0.9), (0.15, 0.2, 0.42), (0.55, 0.13, 0.12), (0.18, 0.33, 0.25),
    (0.6, 0.55, 0.45),
)  # fmt: skip
PAINT_SHARES = (0.2, 0.15, 0.15, 0.17, 0.13, 0.08, 0.06, 0.03, 0.03)


@dataclass(frozen=True)
class CarShape:
    """Sizes of one car, metres; x forward from its middle."""

    length: float
    width: float
    height: float
    waist: float  # Height of the lower body's top
    cabin: tuple[float, float]  # Rear and front end of the cabin at the waist
    slopes: tuple[float, float]  # How far the screens lean, rear and front

    @classmethod
    def random(cls, rng: np.random.Generator) -> CarShape:
        """A hatchback, saloon, estate or off-road car."""
        tall = rng.random() < 0.25
        length = rng.uniform(3.6, 4.9)
        height = rng.uniform(1.6, 1.85) if tall else rng.uniform(1.38, 1.55)
        rear = -length * (rng.uniform(0.44, 0.49) if rng.random() < 0.6 else rng.uniform(0.3, 0.4))
        return cls(
            length,
            rng.uniform(1.62, 1.9),
            height,
            height * rng.uniform(0.58, 0.66),
            (rear, length * rng.uniform(0.16, 0.27)),
            (rng.uniform(0.15, 0.7), rng.uniform(0.45, 0.85)),
        )


def car(props: Props, place: Place) -> None:
    """Add a car whose middle is at the place."""
    shape = CarShape.random(props.rng)
    paint = np.array(PAINTS[int(props.rng.choice(len(PAINTS), p=PAINT_SHARES))])
    paint = paint * props.rng.uniform(0.85, 1.15)
    _body(props, place, shape, paint)
    _cabin(props, place, shape, paint)
    for x in (-0.31, 0.31):
        for side in (-1.0, 1.0):
            at = place.offset(x * shape.length, side * (shape.width / 2 - 0.09))
            wheel(props, Place(*at, place.yaw, place.mover), WHEEL_M)
    under = (shape.length * 0.96, shape.width + 0.1, 0.015)
    props.block(place, under, 0.0, "asphalt", 0.2)


def _body(props: Props, place: Place, shape: CarShape, paint: np.ndarray) -> None:
    """Straight sides between a rounded nose and tail."""
    tall = shape.waist - CLEARANCE_M
    faces = ("car_front", "car_side", "metal")
    props.part(place, (0, 0), (shape.length * 0.94, shape.width, tall), CLEARANCE_M, faces, paint)
    tail = (0.05, shape.width * 0.96, tall * 0.95)
    props.part(place, (-shape.length * 0.47, 0), tail, CLEARANCE_M, "car_rear", paint)
    middle = CLEARANCE_M + 0.5 * tall
    half = (shape.length / 2, shape.width * 0.48, tall * 0.52)
    centre = (place.x, place.y, middle)
    props.solids.add(BALL, centre, half, place.yaw, "metal", paint, place.mover)


def _cabin(props: Props, place: Place, shape: CarShape, paint: np.ndarray) -> None:
    """Two sheared boxes, narrower at the roof's height, under a domed roof."""
    c, s = math.cos(place.yaw), math.sin(place.yaw)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    rear, front = shape.cabin
    tall = shape.height - shape.waist - 0.04
    half = (front - rear) / 2 - max(shape.slopes) / 2
    for lean, x in ((shape.slopes[0], rear + half), (-shape.slopes[1], front - half)):
        middle = x + lean / 2
        width = 0.88 * shape.width if lean > 0 else 0.87 * shape.width
        axes = np.array([[half, 0, lean / 2], [0, width / 2, 0], [0, 0, tall / 2]])
        centre = (*place.offset(middle, 0.0), shape.waist + tall / 2)
        tiles = ("car_glass", "car_cabin", "metal")
        props.solids.add_affine(BOX, centre, rotation @ axes, tiles, paint, place.mover)
    roof = (rear + front + shape.slopes[0] - shape.slopes[1]) / 2
    length = max(front - rear - sum(shape.slopes), 0.8) / 2
    top = (*place.offset(roof, 0.0), shape.height - 0.06)
    half_roof = (length * 1.1, 0.42 * shape.width, 0.06)
    props.solids.add(BALL, top, half_roof, place.yaw, "metal", paint, place.mover)


def wheel(props: Props, place: Place, radius: float) -> None:
    """A dark tyre and a lighter rim, its axle across the place's direction."""
    c, s = math.cos(place.yaw), math.sin(place.yaw)
    for share, half, tint in ((1.0, 0.1, 0.16), (0.62, 0.108, props.rng.uniform(0.3, 0.8))):
        r = radius * share
        axes = np.array([[c * r, 0, -s * half], [s * r, 0, c * half], [0, r, 0]])
        centre = (place.x, place.y, radius)
        props.solids.add_affine(CYLINDER, centre, axes, "metal", tint, place.mover)
