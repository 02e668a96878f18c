# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A seeded scene along a road: what stands where, how it is lit, what moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.world.close_range import indoor, posts, yard
from sfm_depth_ros.world.ground import GroundStyle
from sfm_depth_ros.world.layout import Layout, Style
from sfm_depth_ros.world.light import Light, random_light
from sfm_depth_ros.world.neighbourhoods import avenue, suburb, wood
from sfm_depth_ros.world.objects import SolidList, Solids
from sfm_depth_ros.world.outdoor import country, street
from sfm_depth_ros.world.props import Place, Props
from sfm_depth_ros.world.road import GroundMap, Road, make_ground_map, make_road
from sfm_depth_ros.world.rooms import rooms
from sfm_depth_ros.world.textures import Atlas, build_atlas
from sfm_depth_ros.world.trajectory import rotation_from_euler

ATLASES = 16
VIEW_M = 140.0
LEADER_PERIOD_S = 13.0  # of the distance to the vehicle ahead


@dataclass(frozen=True)
class Mover:
    """A vehicle or pedestrian that follows the road at constant speed."""

    road: Road  # The road
    along: float  # Position along the road at time zero, metres
    lateral: float  # Position across it, left positive
    speed: float  # Metres per second along the road; negative comes towards the robot

    def pose(self, t: float) -> np.ndarray:
        """``(4, 4)`` float64 pose of the group in the world at ``t`` seconds."""
        return _pose_on_road(
            self.road, self.along + self.speed * t, self.lateral, reversed_=self.speed < 0
        )


@dataclass(frozen=True)
class Leader:
    """A vehicle that the robot follows: it keeps its distance, give or take."""

    road: Road  # The road
    lateral: float  # Position across it, left positive
    ahead: float  # Mean distance ahead of the robot along the road, metres
    # The robot's position along the road, metres, at a time in seconds
    robot: Callable[[float], float]

    def pose(self, t: float) -> np.ndarray:
        """``(4, 4)`` float64 pose in the world at ``t`` seconds."""
        along = self.robot(t) + self.ahead * (1 + 0.1 * np.sin(2 * np.pi * t / LEADER_PERIOD_S))
        return _pose_on_road(self.road, along, self.lateral)


def _pose_on_road(road: Road, along: float, lateral: float, reversed_: bool = False) -> np.ndarray:
    s = float(np.clip(along, road.start, road.end - 1))
    T = np.eye(4)
    T[:3, :3] = rotation_from_euler(0, 0, float(road.yaw(s)) + (np.pi if reversed_ else 0.0))
    T[:2, 3] = road.position(s, lateral)
    return T


@dataclass(frozen=True)
class Scene:
    """Everything the renderer needs."""

    seed: int  # What it was made from
    road: Road  # The centre line
    solids: Solids  # What stands and moves
    ground: GroundStyle  # Bands and markings
    ground_map: GroundMap  # Road coordinates of the ground
    light: Light  # Sun and sky
    movers: tuple[Mover | Leader, ...]  # Moving groups that solids refer to
    atlas: Atlas  # Textures
    lane_m: float  # Lateral position in which the robot should drive
    ragged: bool = False  # Whether leaves are so loose that outlines are irregular


def build_scene(
    seed: int,
    style: str,
    length_m: float,
    moving_objects: int = 0,
    speed_mps: float = 5.0,
    has_leader: bool = False,
) -> Scene:
    """Make a scene.

    Args:
        seed: Same seed, same scene.
        style: One of ``STYLES``.
        length_m: How far the robot will drive.
        moving_objects: How many things move per 100 m.
        speed_mps: The robot's cruising speed, to which traffic is adapted.
        has_leader: Add the solids of a car with the number that follows the last mover's; the
            caller adds its ``Leader`` to ``movers`` when it knows how the robot drives.
    """
    if style not in STYLES:
        raise ValueError(f"style is {style!r}, expected one of {sorted(STYLES)}")
    rng = np.random.default_rng([seed, 0x5C])
    atlas = build_atlas(seed % ATLASES)
    recipe = STYLES[style]
    road = make_road(rng, length_m + VIEW_M, recipe.bend * rng.uniform(0, 1))
    props = Props(SolidList(atlas, rng), rng)
    layout = recipe.build(props, road)
    count = int(np.ceil(moving_objects * (length_m + VIEW_M) / 100.0))
    traffic = _Traffic(road, layout, length_m, speed_mps)
    movers = tuple(traffic.add(props, group) for group in range(count))
    light = random_light(rng, recipe.indoor)
    if has_leader:  # last, so that the rest is the same with and without
        props.car(Place(0.0, 0.0, 0.0, count))
    return Scene(
        seed,
        road,
        props.solids.solids(),
        layout.ground,
        make_ground_map(road),
        light,
        movers,
        atlas,
        layout.lane_m,
        recipe.ragged,
    )


@dataclass(frozen=True)
class _Traffic:
    """Adds moving things that keep clear of the robot's path."""

    road: Road
    layout: Layout
    length_m: float
    speed_mps: float

    def add(self, props: Props, group: int) -> Mover:
        """Add the solids of one moving group in the group's own frame."""
        rng = props.rng
        place = Place(0.0, 0.0, 0.0, group)
        if self.layout.has_traffic and rng.random() < 0.6:
            (props.van if rng.random() < 0.2 else props.car)(place)
            return self._vehicle(rng)
        props.person(place)
        along = rng.uniform(8.0, self.length_m + VIEW_M)
        clear = self.layout.half_width + rng.uniform(0.3, 2.0)
        lateral = float(rng.choice([-1.0, 1.0]) * clear)
        walk = float(rng.uniform(0.5, 1.6) * rng.choice([-1.0, 1.0]))
        return Mover(self.road, along, lateral, walk)

    def _vehicle(self, rng: np.random.Generator) -> Mover:
        """Faster ahead in the robot's lane, or oncoming in the next."""
        if rng.random() < 0.35:
            speed = self.speed_mps * rng.uniform(1.2, 1.6)
            return Mover(self.road, rng.uniform(12.0, 40.0), self.layout.lane_m, float(speed))
        side = 1.0 if self.layout.lane_m <= 0 else -1.0
        lateral = self.layout.lane_m + side * rng.uniform(2.6, 3.4)
        speed = -max(self.speed_mps, 4.0) * rng.uniform(0.6, 1.3)
        reach = self.length_m + 2 * VIEW_M
        return Mover(self.road, rng.uniform(20.0, reach), float(lateral), float(speed))


STYLES: dict[str, Style] = {
    "street": Style(street, bend=0.8),
    "country": Style(country, bend=1.0),
    "yard": Style(yard, bend=1.0),
    "indoor": Style(indoor, bend=0.5, indoor=True),
    "posts": Style(posts, bend=0.5),
    "suburb": Style(suburb, bend=0.8, ragged=True),
    "avenue": Style(avenue, bend=0.4, ragged=True),
    "wood": Style(wood, bend=1.0, ragged=True),
    "rooms": Style(rooms, bend=0.3, indoor=True, ragged=True),
}
