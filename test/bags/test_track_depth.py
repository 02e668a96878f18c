# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from exact_drive import make_drive

from sfm_depth_ros.bags.track_depth import PointDepths, track_depths
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.values import Velocity
from sfm_depth_ros.snippets.velocity import VelocityBuffer

SPEED, YAW_RATE = 6.0, 0.1


@pytest.fixture(scope="module")
def drive():
    return make_drive(9, SPEED, YAW_RATE)


def errors_of(drive, velocities):
    """Relative error of every point, against the depth of the pixel that it lies in."""
    by_stamp = {f.stamp_ns: d for f, d in zip(drive.frames, drive.depths, strict=True)}
    errors = []
    for points in track_depths(drive.frames, velocities):
        columns, rows = np.rint(points.pixels).astype(int).T
        truth = by_stamp[points.stamp_ns][rows, columns]
        errors.append(points.depth[truth > 0] / truth[truth > 0] - 1)
    return errors


def test_points_are_where_the_world_has_them(drive):
    errors = errors_of(drive, drive.velocities)
    assert len(errors) == len(drive.frames), "the first and the last have neighbours too"
    assert min(len(frame) for frame in errors) > 30
    every = np.concatenate(errors)
    assert abs(np.median(every)) < 0.01
    assert np.percentile(np.abs(every), 75) < 0.08, "a tenth of a pixel in some pixels of parallax"


def test_metres_are_the_odometers(drive):
    """An odometer that measures 10 % too much makes a world that is 10 % larger."""
    velocities = VelocityBuffer(drive.velocities.T_base_camera, max_gap_s=0.3)
    for index in range(60):
        linear = np.array([1.1 * SPEED, 0.0, 0.0])
        velocities.add(Velocity(index * 20_000_000, linear, np.array([0.0, 0.0, YAW_RATE])))
    assert np.median(np.concatenate(errors_of(drive, velocities))) == pytest.approx(0.1, abs=0.02)


def test_a_heading_that_is_off_is_corrected(drive):
    velocities = VelocityBuffer(drive.velocities.T_base_camera, max_gap_s=0.3)
    for index in range(60):
        angular = np.array([0.0, 0.0, YAW_RATE + 0.02])
        velocities.add(Velocity(index * 20_000_000, np.array([SPEED, 0.0, 0.0]), angular))
    every = np.concatenate(errors_of(drive, velocities))
    assert np.percentile(np.abs(every), 75) < 0.1


def test_without_an_odometer_there_are_no_metres(drive):
    nothing = VelocityBuffer(drive.velocities.T_base_camera, max_gap_s=0.3)
    assert not list(track_depths(drive.frames, nothing))


def test_no_corner_lies_where_the_image_has_no_source(drive):
    valid = np.ones((96, 320), bool)
    valid[:, :160] = False
    frames = [dataclasses.replace(frame, valid=valid) for frame in drive.frames]
    points = list(track_depths(frames, drive.velocities))
    assert points
    assert all((p.pixels[:, 0] > 160).all() for p in points)


def test_points_become_an_image_of_another_size():
    large, small = Intrinsics.from_hfov(90.0, 64, 32), Intrinsics.from_hfov(90.0, 32, 16)
    pixels = np.array([[10.0, 8.0], [10.4, 8.4], [63.0, 31.0], [40.0, 20.0]])
    points = PointDepths(0, pixels, np.array([5.0, 3.0, 7.0, 9.0]), large)
    image = points.image(small)
    # pixel centres: (10 - 31.5) / 2 + 15.5 = 4.75 and so on
    assert image.shape == (16, 32)
    assert image[4, 5] == 3.0, "the nearer of two in one pixel"
    assert image[10, 20] == 9.0
    assert np.count_nonzero(image) == 3
