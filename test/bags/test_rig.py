# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.bags.rig import PoseTrack, StaticTransforms
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.frames import pose_to_matrix, rotation_matrix, rotation_vector

BASE_MAST = pose_to_matrix([1, 0, 0.5, 0, 0, np.sin(0.3), np.cos(0.3)])
MAST_CAMERA = pose_to_matrix([0, 0.1, 0.2, 0.1, 0, 0, np.sqrt(0.99)])
CAMERA_OPTICAL = pose_to_matrix([0, 0, 0, -0.5, 0.5, -0.5, 0.5])


def _tree() -> StaticTransforms:
    tree = StaticTransforms()
    tree.add("camera", "optical", CAMERA_OPTICAL)
    tree.add("/mast", "camera", MAST_CAMERA)
    tree.add("base_link", "mast", BASE_MAST)
    tree.add("base_footprint", "base_link", pose_to_matrix([0, 0, 0.2, 0, 0, 0, 1]))
    return tree


def test_a_chain_is_composed_in_both_directions():
    tree = _tree()
    expected = BASE_MAST @ MAST_CAMERA @ CAMERA_OPTICAL
    np.testing.assert_allclose(tree.lookup("base_link", "optical"), expected, atol=1e-12)
    back = tree.lookup("optical", "/base_link")
    np.testing.assert_allclose(back @ expected, np.eye(4), atol=1e-12)
    np.testing.assert_array_equal(tree.lookup("mast", "mast"), np.eye(4))


def test_a_missing_chain_names_the_frames():
    with pytest.raises(DataError, match=r"'lidar'.*base_link, camera, mast, optical"):
        _tree().lookup("base_link", "lidar")
    with pytest.raises(DataError, match=r"none.*base_to_camera"):
        StaticTransforms().lookup("base_link", "optical")


def test_poses_are_interpolated_between_neighbours_only():
    poses = {stamp: np.eye(4) for stamp in (0, 100_000_000, 2_000_000_000)}
    poses[100_000_000][:3, 3] = 1, 2, 3
    poses[100_000_000][:3, :3] = rotation_matrix([0, 0, 3.0])
    track = PoseTrack(poses)
    assert track.at(0) is poses[0]
    between = track.at(25_000_000)
    assert between is not None
    np.testing.assert_allclose(between[:3, 3], [0.25, 0.5, 0.75])
    np.testing.assert_allclose(rotation_vector(between[:3, :3]), [0, 0, 0.75], atol=1e-9)
    assert track.at(-1) is None
    assert track.at(1_000_000_000) is None  # a gap of 1.9 s
    assert track.at(3_000_000_000) is None
    assert PoseTrack({}).at(0) is None
