# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real recordings, where they are at hand: the odometer must agree with the true poses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("rosbags")

from sfm_depth_ros.bags.frames import read_frames
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.snippets.builder import SnippetBuilder


def test_displacement_agrees_with_true_poses(real_bags):
    frames = read_frames(real_bags / "kitti_odometry_03", NetworkInput(320), needs_velocity=True)
    seen = [(f.frame.stamp_ns, f.T_world_camera) for f in itertools.islice(frames, 1, 200)]
    ratios, angles = [], []
    for (t0, T0), (t1, T1) in itertools.pairwise(seen):
        true = invert(T0) @ T1
        got = frames.velocities.displacement(t0, t1)
        ratios.append(got.length / np.linalg.norm(true[:3, 3]))
        rotation = invert(true) @ got.T_earlier_later
        angles.append(np.arccos(np.clip((np.trace(rotation[:3, :3]) - 1) / 2, -1, 1)))
    assert np.median(ratios) == pytest.approx(1.0, abs=2e-3)
    assert np.mean(np.abs(np.array(ratios) - 1) < 0.02) > 0.97
    assert np.degrees(np.median(angles)) < 0.05


@pytest.mark.parametrize(
    ("name", "count", "valid"),
    [("kitti_raw_0926_0052", 78, 1.0), ("kitti_raw_0926_0039", 400, 0.95)],
)
def test_snippets_are_plausible(real_bags, name, count, valid):
    frames = read_frames(real_bags / name, NetworkInput(320), needs_velocity=True)
    assert len(frames) == count
    builder = SnippetBuilder(frames.velocities, 0.05, 5.0, 0.5)
    first = itertools.islice(frames, 60)
    snippets = [snippet for bag_frame in first for snippet in builder.add(bag_frame.frame)]
    assert 58 >= len(snippets) >= 40
    displacements = np.stack([snippet.displacements for snippet in snippets])
    assert displacements.min() >= 0.05
    assert displacements.max() < 1.5
    mask = frames.preprocessor.valid
    assert mask is None if valid == 1.0 else valid < mask.mean() < 1.0
    assert frames.preprocessor.size == (320, 96)


def test_lidar_truth_falls_on_the_image(real_bags):
    frames = read_frames(real_bags / "kitti_raw_0926_0052", NetworkInput(320))
    depths = [f.depth for f in itertools.islice(frames, 10) if f.depth is not None]
    assert len(depths) == 10
    known = np.stack(depths) > 0
    assert 0.3 < known.mean() < 0.45  # 11000 of 30720 pixels
    assert known[:, 48:].mean() > known[:, :48].mean()  # the lidar does not see the sky
