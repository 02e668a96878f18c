# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from sfm_depth_ros.bags.pose_track import PoseTrack
from sfm_depth_ros.geometry.frames import rotation_matrix, rotation_vector


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
