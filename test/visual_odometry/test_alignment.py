# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth's own scale: right for a wrong unit, for noise, for a wrong heading; silent when blind."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from exact_drive import CAMERA, Drive, make_drive

from sfm_depth_ros.geometry.frames import rotation_matrix
from sfm_depth_ros.visual_odometry.alignment import (
    DepthScale,
    depth_scale_of_tracks,
    measure_depth_scale,
)
from sfm_depth_ros.visual_odometry.tracking import Tracks, track_corners


@pytest.fixture(scope="module")
def curve() -> Drive:
    return make_drive(4, speed=8.0, yaw_rate=0.3)


def _measure(drive: Drive, depth: np.ndarray, motion: np.ndarray, later: int = 1) -> DepthScale:
    grey = [cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY) for frame in drive.frames]
    scale = measure_depth_scale(grey[later - 1], grey[later], depth, CAMERA, motion)
    assert scale is not None
    return scale


@pytest.mark.parametrize("unit", [0.05, 0.8, 1.0, 20.0])
def test_ratio_of_any_unit(curve: Drive, unit: float) -> None:
    scale = _measure(curve, unit * curve.depths[0], curve.motion(1))
    assert scale.ratio == pytest.approx(unit, rel=0.03)
    assert scale.count > 40
    assert scale.sigma < 0.05 * unit
    assert abs(scale.ratio - unit) < 4 * scale.sigma


def test_noise_in_the_prediction_does_not_shrink_the_ratio() -> None:
    rng = np.random.default_rng(0)
    rays = rng.uniform([-0.8, -0.1], [0.8, 0.25], (300, 2))
    depth = np.exp(rng.uniform(np.log(3), np.log(40), 300))
    points = np.column_stack([rays * depth[:, None], depth])
    motion = np.eye(4)
    motion[2, 3] = 1.0
    after = points - motion[:3, 3]
    focal, centre = np.array([CAMERA.fx, CAMERA.fy]), np.array([CAMERA.cx, CAMERA.cy])
    tracks = Tracks(rays * focal + centre, after[:, :2] / after[:, 2:] * focal + centre)
    ratios = []
    for _ in range(20):
        noisy = depth * np.exp(rng.normal(0, 0.2, depth.shape))
        jittered = Tracks(tracks.earlier, tracks.later + rng.normal(0, 0.1, rays.shape))
        scale = depth_scale_of_tracks(jittered, noisy, CAMERA, motion)
        assert scale is not None
        ratios.append(scale.ratio)
    assert np.median(ratios) == pytest.approx(1.0, abs=0.02)


def test_blurred_depth_edges_do_not_bias_the_ratio(curve: Drive) -> None:
    blurred = 1.0 / cv2.GaussianBlur(1.0 / np.minimum(curve.depths[0], 200.0), (0, 0), 2.0)
    scale = _measure(curve, blurred, curve.motion(1))
    assert scale.ratio == pytest.approx(1.0, abs=0.03)


def test_wrong_heading_of_the_odometer_does_not_matter(curve: Drive) -> None:
    motion = curve.motion(1)
    motion[:3, :3] = motion[:3, :3] @ rotation_matrix([0.004, -0.006, 0.002])
    scale = _measure(curve, 1.2 * curve.depths[0], motion)
    assert scale.ratio == pytest.approx(1.2, rel=0.04)


def test_things_that_move_are_outvoted(curve: Drive) -> None:
    grey = [cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY) for frame in curve.frames]
    tracks = track_corners(grey[0], grey[1])
    later = tracks.later.copy()
    later[::5] += (3.0, -1.0)
    columns, rows = np.rint(tracks.earlier).astype(int).T
    moved = Tracks(tracks.earlier, later)
    depth = curve.depths[0][rows, columns].astype(float)
    finite = np.isfinite(depth)
    moved = Tracks(moved.earlier[finite], moved.later[finite])
    scale = depth_scale_of_tracks(moved, depth[finite], CAMERA, curve.motion(1))
    assert scale is not None
    assert scale.ratio == pytest.approx(1.0, rel=0.05)


def test_no_answer_without_parallax_texture_or_depth(curve: Drive) -> None:
    grey = cv2.cvtColor(curve.frames[0].image, cv2.COLOR_RGB2GRAY)
    depth, motion = curve.depths[0], curve.motion(1)
    assert measure_depth_scale(grey, grey, depth, CAMERA, motion) is None
    assert measure_depth_scale(grey, grey, depth, CAMERA, np.eye(4)) is None
    flat = np.full_like(grey, 100)
    assert measure_depth_scale(flat, flat, depth, CAMERA, motion) is None
    unknown = np.full_like(depth, np.nan)
    assert measure_depth_scale(grey, grey, unknown, CAMERA, motion) is None


def test_turning_on_the_spot_has_no_scale(curve: Drive) -> None:
    spot = make_drive(2, speed=0.0, yaw_rate=0.4)
    grey = [cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY) for frame in spot.frames]
    motion = spot.motion(1)
    motion[:3, 3] = (0.0, 0.0, 0.5)  # an odometer that slips
    scale = measure_depth_scale(grey[0], grey[1], spot.depths[0], CAMERA, motion)
    assert scale is None or scale.ratio < 0.2


def test_tracks_follow_the_true_flow(curve: Drive) -> None:
    grey = [cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY) for frame in curve.frames]
    tracks = track_corners(grey[0], grey[1])
    assert len(tracks) > 60
    columns, rows = np.rint(tracks.earlier).astype(int).T
    depth = curve.depths[0][rows, columns].astype(float)
    rays = np.column_stack(
        [(tracks.earlier - [CAMERA.cx, CAMERA.cy]) / CAMERA.fx, np.ones(len(tracks))]
    )
    inverse = np.linalg.inv(curve.motion(1))
    points = (rays * depth[:, None]) @ inverse[:3, :3].T + inverse[:3, 3]
    expected = points[:, :2] / points[:, 2:] * CAMERA.fx + [CAMERA.cx, CAMERA.cy]
    assert np.median(np.linalg.norm(expected - tracks.later, axis=1)) < 0.4
