# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot's own camera in the rendered world: the same rays, the same place."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.world.camera_spec import own_camera
from sfm_depth_ros.world.distribution import random_drive_spec
from sfm_depth_ros.world.drive import CameraSpec

SPEC = CameraSpec(320, 96, 71.0, 0.8, 4.0, roll_deg=1.5, forward_m=0.3, centre_px=(3.0, -2.0))


def test_comes_back_from_calibration_and_extrinsics() -> None:
    camera = own_camera(SPEC.intrinsics, SPEC.T_base_camera)
    assert camera is not None
    np.testing.assert_allclose(camera.intrinsics.matrix, SPEC.intrinsics.matrix, rtol=1e-9)
    np.testing.assert_allclose(camera.T_base_camera, SPEC.T_base_camera, atol=1e-9)


def test_a_camera_that_looks_to_the_left() -> None:
    camera = CameraSpec(320, 96, 71.0, 0.8, 0.0, yaw_deg=30.0)
    ahead = camera.T_base_camera[:3, 2]
    np.testing.assert_allclose(ahead, [np.cos(np.pi / 6), 0.5, 0.0], atol=1e-12)


@pytest.mark.parametrize("height", [0.0, -0.4, 5.0])
def test_a_height_that_cannot_be_is_not_believed(height: float) -> None:
    T = SPEC.T_base_camera.copy()
    T[2, 3] = height
    assert own_camera(SPEC.intrinsics, T) is None


def test_a_camera_to_the_side_is_not_rendered() -> None:
    T = SPEC.T_base_camera.copy()
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    T[:3, :3] = turn @ T[:3, :3]
    assert own_camera(SPEC.intrinsics, T) is None


def test_drives_are_drawn_with_it() -> None:
    camera = own_camera(Intrinsics.from_hfov(80.0, 64, 32), SPEC.T_base_camera)
    specs = [random_drive_spec(np.random.default_rng(k), 64, 32, 5.0, camera) for k in range(3)]
    assert all(spec.camera == camera for spec in specs)
    assert len({spec.seed for spec in specs}) == 3
