# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A seeded scene along a road: what stands where, how it is lit, what moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.data.synthetic.ground import GroundStyle
from sfm_depth_ros.data.synthetic.light import Light, random_light
from sfm_depth_ros.data.synthetic.objects import SolidList, Solids
from sfm_depth_ros.data.synthetic.props import Place, Props
from sfm_depth_ros.data.synthetic.road import GroundMap, Road, make_ground_map, make_road
from sfm_depth_ros.data.synthetic.styles import STYLES
from sfm_depth_ros.data.synthetic.textures import Atlas, build_atlas
from sfm_depth_ros.data.synthetic.trajectory import rotation_from_euler

ATLASES = 16
VIEW_M = 140.0


@dataclass(frozen=True)
class Mover:
    """A vehicle or pedestrian that follows the road at constant speed.

    Attributes:
        road: The road.
        along: Position along the road at time zero, metres.
        lateral: Position across it, left positive.
        speed: Metres per second along the road; negative comes towards the robot.
        crossing: Metres per second across the road.
    """

    road: Road
    along: float
    lateral: float
    speed: float
    crossing: float = 0.0

    def pose(self, t: float) -> np.ndarray:
        """``(4, 4)`` float64 pose of the group in the world at ``t`` seconds."""
        s = float(np.clip(self.along + self.speed * t, self.road.start, self.road.end - 1))
        yaw = float(self.road.yaw(s)) + (np.pi if self.speed < 0 else 0.0)
        T = np.eye(4)
        T[:3, :3] = rotation_from_euler(0, 0, yaw)
        T[:2, 3] = self.road.position(s, self.lateral + self.crossing * t)
        return T


@dataclass(frozen=True)
class Scene:
    """Everything the renderer needs.

    Attributes:
        seed: What it was made from.
        road: The centre line.
        solids: What stands and moves.
        ground: Bands and markings.
        ground_map: Road coordinates of the ground.
        light: Sun and sky.
        movers: Moving groups that solids refer to.
        atlas: Textures.
        lane_m: Lateral position in which the robot should drive.
    """

    seed: int
    road: Road
    solids: Solids
    ground: GroundStyle
    ground_map: GroundMap
    light: Light
    movers: tuple[Mover, ...]
    atlas: Atlas
    lane_m: float


def build_scene(
    seed: int, style: str, length_m: float, moving_objects: int = 0, speed_mps: float = 5.0
) -> Scene:
    """Make a scene.

    Args:
        seed: Same seed, same scene.
        style: One of ``STYLES``.
        length_m: How far the robot will drive.
        moving_objects: How many things move per 100 m.
        speed_mps: The robot's cruising speed, to which traffic is adapted.
    """
    if style not in STYLES:
        raise ValueError(f"style is {style!r}, expected one of {sorted(STYLES)}")
    rng = np.random.default_rng([seed, 0x5C])
    atlas = build_atlas(seed % ATLASES)
    recipe = STYLES[style]
    road = make_road(rng, length_m + VIEW_M, recipe.bend * rng.uniform(0, 1))
    props = Props(SolidList(atlas, rng), rng)
    layout = recipe.build(props, road)
    movers = _add_movers(props, road, layout.half_width, moving_objects, length_m, speed_mps)
    light = random_light(rng, recipe.indoor)
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
    )


def _add_movers(
    props: Props, road: Road, half_width: float, density: int, length_m: float, speed: float
) -> tuple[Mover, ...]:
    rng = props.rng
    movers: list[Mover] = []
    for _ in range(int(np.ceil(density * (length_m + VIEW_M) / 100.0))):
        place = Place(0.0, 0.0, 0.0, len(movers))
        along = rng.uniform(8.0, length_m + VIEW_M)
        if half_width > 2.5 and rng.random() < 0.6:
            (props.van if rng.random() < 0.25 else props.car)(place)
            ahead = rng.random() < 0.4
            velocity = speed * rng.uniform(0.9, 1.3) if ahead else -speed * rng.uniform(0.6, 1.3)
            lateral = -0.5 * half_width if ahead else 0.5 * half_width
            movers.append(Mover(road, along, lateral, velocity))
        else:
            props.person(place)
            lateral = rng.uniform(-1, 1) * (half_width + 1.5)
            walk = rng.uniform(0.5, 1.6) * rng.choice([-1.0, 1.0])
            crosses = rng.random() < 0.3
            pace = (0.05, walk) if crosses else (walk, 0.0)
            movers.append(Mover(road, along, lateral, *map(float, pace)))
    return tuple(movers)
