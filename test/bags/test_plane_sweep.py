# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plane-sweep depth on an exact drive."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from exact_drive import make_drive

from sfm_depth_ros.bags.plane_sweep import DenseDepth, SweepLimits, sweep_depths
from sfm_depth_ros.bags.track_depth import track_depths
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.values import Velocity
from sfm_depth_ros.snippets.velocity import VelocityBuffer

SPEED, YAW_RATE = 6.0, 0.1


@pytest.fixture(scope="module")
def drive():
    return make_drive(9, SPEED, YAW_RATE)


def swept(drive, velocities=None, frames=None) -> list[DenseDepth]:
    velocities = drive.velocities if velocities is None else velocities
    return list(sweep_depths(frames or drive.frames[2:7], velocities))


def ratios(drive, found: list[DenseDepth]) -> np.ndarray:
    """Depth over truth of every known pixel."""
    truth = {f.stamp_ns: d for f, d in zip(drive.frames, drive.depths, strict=True)}
    pairs = [(one.depth, truth[one.stamp_ns]) for one in found]
    return np.concatenate([(depth / t)[(depth > 0) & (t > 0)] for depth, t in pairs])


def test_depth_is_the_worlds_and_far_denser_than_corners(drive) -> None:
    found = swept(drive)
    every = ratios(drive, found)
    assert abs(np.median(every) - 1) < 0.01
    assert np.percentile(np.abs(every - 1), 75) < 0.08
    corners = [len(points.depth) for points in track_depths(drive.frames[2:7], drive.velocities)]
    known = [np.count_nonzero(one.depth) for one in found]
    assert np.mean(known) > 5 * np.mean(corners)


def test_metres_are_the_odometers(drive) -> None:
    velocities = VelocityBuffer(drive.velocities.T_base_camera, max_gap_s=0.3)
    for index in range(60):
        linear = np.array([1.1 * SPEED, 0.0, 0.0])
        velocities.add(Velocity(index * 20_000_000, linear, np.array([0.0, 0.0, YAW_RATE])))
    assert np.median(ratios(drive, swept(drive, velocities))) == pytest.approx(1.1, abs=0.02)


def test_without_an_odometer_or_neighbours_nothing_is_known(drive) -> None:
    nothing = VelocityBuffer(drive.velocities.T_base_camera, max_gap_s=0.3)
    assert not swept(drive, nothing)
    assert not swept(drive, frames=drive.frames[:1])


def test_flat_images_and_invalid_pixels_stay_unknown(drive) -> None:
    valid = np.ones(drive.frames[0].image.shape[:2], bool)
    valid[:, :100] = False
    frames = [dataclasses.replace(frame, valid=valid) for frame in drive.frames[2:7]]
    found = swept(drive, frames=frames)
    assert found and not any(one.depth[:, :100].any() for one in found)
    grey = [dataclasses.replace(f, image=np.full_like(f.image, 90)) for f in drive.frames[2:7]]
    assert not swept(drive, frames=grey)


def test_another_size_takes_the_nearest_pixel() -> None:
    depth = np.arange(8 * 16, dtype=np.float32).reshape(8, 16)
    large, small = Intrinsics.from_hfov(90.0, 16, 8), Intrinsics.from_hfov(90.0, 4, 2)
    found = DenseDepth(0, depth, large).image(small)
    assert found.shape == (2, 4)
    assert np.isin(found, depth).all() and (np.diff(found, axis=1) > 0).all()
    assert SweepLimits().nearest < SweepLimits().farthest
