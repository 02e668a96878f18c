# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered depth against geometry worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sfm_depth_ros.world.camera_spec import CameraSpec, ray_grid
from sfm_depth_ros.world.ground import Band, GroundStyle
from sfm_depth_ros.world.light import Light
from sfm_depth_ros.world.objects import BALL, BOX, CYLINDER, SolidList
from sfm_depth_ros.world.renderer import Renderer, Views
from sfm_depth_ros.world.road import make_ground_map, make_road
from sfm_depth_ros.world.scene import Scene
from sfm_depth_ros.world.textures import build_atlas

CAMERA = CameraSpec(161, 97, 90.0, 1.5, 0.0)
LIGHT = Light((0.0, 0.6, 0.8), (1.0, 1.0, 1.0), (0.3, 0.3, 0.3), 1.0, 1.0)


def _render(*solids: tuple, camera: CameraSpec = CAMERA) -> tuple[np.ndarray, np.ndarray]:
    """Image and depth of solids (kind, centre, half extents, yaw) seen from the origin along x."""
    rng, atlas = np.random.default_rng(0), build_atlas(0)
    shapes = SolidList(atlas, rng)
    shapes.add(BOX, (-50.0, 0.0, 1.0), (1.0, 1.0, 1.0), 0.0, "crate")  # behind the camera
    for solid in solids:
        shapes.add(*solid, "crate")
    road = make_road(rng, 60.0, 0.0)
    ground = GroundStyle((Band(math.inf, "asphalt"),))
    scene = Scene(0, road, shapes.solids(), ground, make_ground_map(road), LIGHT, (), atlas, 0.0)
    views = Views(camera.T_base_camera[None], np.zeros(1))
    seen = Renderer(scene).render(views, ray_grid(camera))
    return seen.image[0].numpy(), seen.depth[0].numpy()


def test_ground_plane_is_exact_and_the_sky_is_at_infinity() -> None:
    _, depth = _render()
    K = CAMERA.intrinsics
    rows = np.arange(97)
    below = rows > K.cy + 1
    expected = 1.5 * K.fy / (rows[below] - K.cy)
    assert np.allclose(depth[below], expected[:, None], rtol=1e-5)
    assert np.isinf(depth[rows < K.cy]).all()


def test_ground_seen_by_a_pitched_camera() -> None:
    camera = CameraSpec(160, 96, 90.0, 0.4, 20.0)
    _, depth = _render(camera=camera)
    slope = (95 - camera.intrinsics.cy) / camera.intrinsics.fy
    expected = 0.4 / (math.sin(math.radians(20)) + slope * math.cos(math.radians(20)))
    assert np.allclose(depth[95], expected, rtol=1e-5)


def test_box_ahead() -> None:
    image, depth = _render((BOX, (6.0, 0.0, 1.0), (1.0, 1.0, 1.0), 0.0))
    K = CAMERA.intrinsics
    assert depth[48, 80] == pytest.approx(5.0, rel=1e-6)
    half_width = K.fx / 5.0
    assert np.allclose(depth[50, int(80 - half_width + 1) : int(80 + half_width)], 5.0, rtol=1e-5)
    assert depth[50, int(80 + half_width + 2)] > 20
    assert np.isfinite(image).all()


def test_turned_box_shows_its_edge() -> None:
    _, depth = _render((BOX, (6.0, 0.0, 1.0), (1.0, 1.0, 1.0), math.pi / 4))
    assert depth[48, 80] == pytest.approx(6.0 - math.sqrt(2.0), rel=1e-5)


def test_cylinder_and_ball() -> None:
    _, depth = _render((CYLINDER, (8.0, 0.0, 1.5), (0.5, 0.5, 1.5), 0.3))
    assert depth[48, 80] == pytest.approx(7.5, rel=1e-5)
    _, depth = _render((BALL, (8.0, 0.0, 1.5), (0.5, 0.7, 0.9), 0.0))
    assert depth[48, 80] == pytest.approx(7.5, rel=1e-5)


def test_nearer_solid_hides_the_farther_one() -> None:
    boxes = [(BOX, (x, 0.0, 1.0), (0.5, 0.5 * x / 4, 1.0), 0.0) for x in (12.0, 4.0, 8.0)]
    _, depth = _render(*boxes)
    assert depth[48, 80] == pytest.approx(3.5, rel=1e-6)


def test_wall_that_passes_the_camera_is_cut_off_cleanly() -> None:
    _, depth = _render((BOX, (0.0, -2.5, 2.0), (30.0, 0.5, 2.0), 0.0))
    K = CAMERA.intrinsics
    columns = np.arange(100, 161)
    expected = 2.0 / ((columns - K.cx) / K.fx)
    assert np.allclose(depth[48, columns], expected, rtol=1e-4)


def test_a_box_shades_the_ground_beside_it() -> None:
    box = (BOX, (10.0, 3.0, 1.5), (2.0, 0.5, 1.5), 0.0)
    lit, shaded = _render()[0], _render(box)[0]
    K = CAMERA.intrinsics
    row, column = round(K.cy + K.fy * 1.5 / 10), round(K.cx - K.fx * 1.6 / 10)
    ratio = shaded[row, column].mean() / lit[row, column].mean()
    # Ambient light alone (0.3) against ambient and sun at 0.8 above the horizon, as square roots.
    assert ratio == pytest.approx(math.sqrt(0.3 / 1.1), rel=0.02)
    assert shaded[row, 160 - column] == pytest.approx(lit[row, 160 - column], rel=1e-5)


def test_size_need_not_be_a_multiple_of_the_tiles() -> None:
    image, depth = _render(camera=CameraSpec(101, 45, 70.0, 1.0, 0.0))
    assert image.shape == (45, 101, 3)
    assert depth.shape == (45, 101)
