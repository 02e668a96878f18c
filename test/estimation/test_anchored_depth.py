# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchoring of one image after another, from the network's depth and given landmarks."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.anchored_depth import AnchoredDepth
from sfm_depth_ros.estimation.model_session import SessionOutput
from sfm_depth_ros.estimation.motion_estimator import MotionOutput
from sfm_depth_ros.estimation.stage_clock import StageClock
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import pose_to_matrix
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.visual_odometry.landmarks import Landmarks
from sfm_depth_ros.visual_odometry.odometry_step import FUSED, OdometryStep, TrackCounts

CAMERA = Intrinsics(200.0, 200.0, 159.5, 47.5, 320, 96)
LEVEL = pose_to_matrix((0.0, 0.0, 1.5, -0.5, 0.5, -0.5, 0.5))
CAR = np.zeros((96, 320), bool)
CAR[40:85, 110:210] = True


def street() -> np.ndarray:
    """Floor 1.5 m below the camera, walls at 60 m, a car 8 m ahead."""
    down = (np.arange(96) - CAMERA.cy) / CAMERA.fy
    depth = np.minimum(1.5 / np.maximum(down, 1e-6), 60.0)
    return np.where(CAR, 8.0, np.repeat(depth[:, None], 320, axis=1)).astype(np.float32)


def step_with(depth: np.ndarray, index: int) -> OdometryStep:
    """A step whose landmarks have a depth image's depth at every fourth pixel.

    The car has some in its lower part alone: bumper, plate and shadow.
    """
    rows, columns = (grid.ravel() for grid in np.mgrid[4:92:4, 4:316:4])
    seen = ~CAR[rows, columns] | (rows > 74)
    rows, columns = rows[seen], columns[seen]
    inverse = 1.0 / depth[rows, columns].astype(np.float64)
    landmarks = Landmarks(
        index, CAMERA, np.stack((columns, rows), axis=1).astype(np.float32), inverse,
        0.03 * inverse, np.full(len(rows), 9), np.arange(len(rows)),
    )  # fmt: skip
    earlier, later = index * 100_000_000, (index + 1) * 100_000_000
    return OdometryStep(
        earlier, later, np.eye(4), np.eye(6), FUSED, landmarks, TrackCounts(len(rows))
    )


def car_depth(T_base_camera: np.ndarray | None) -> float:
    """Median anchored depth of the car's lower part, whose landmarks are three times too far."""
    anchoring = AnchoredDepth()
    seeming = np.where(CAR, 3 * street(), street())
    for index in range(10):
        step = step_with(seeming, index)
        frame = Frame(step.later_ns, np.zeros((96, 320, 3), np.uint8), CAMERA)
        output = SessionOutput(street(), MotionOutput(None, None, step), StageClock())
        config = DepthNodeConfig(anchoring="local")
        anchored = anchoring.apply(frame, output, config, False, T_base_camera)
    return float(np.median(anchored.depth[76:85, 120:200]))


def test_a_car_that_keeps_its_distance_stays_where_the_network_sees_it() -> None:
    assert abs(car_depth(LEVEL) / 8.0 - 1) < 0.03


def test_without_a_mounting_its_landmarks_are_weighed_down_but_not_left_out() -> None:
    """Landmarks farther than the network sees them are weighed down (9.0 m if they were not)."""
    assert 8.02 < car_depth(None) < 8.4


def test_the_networks_floor_is_measured_in_the_landmarks_metres() -> None:
    """An odometer in miles an hour: the camera seems 2.24 times as high as it is."""
    anchoring, config = AnchoredDepth(), DepthNodeConfig(anchoring="local")
    for index in range(35):
        step = step_with(2.237 * street(), index)
        frame = Frame(step.later_ns, np.zeros((96, 320, 3), np.uint8), CAMERA)
        output = SessionOutput(street(), MotionOutput(None, None, step), StageClock())
        anchored = anchoring.apply(frame, output, config, False, LEVEL)
    assert anchored.floor_height is not None
    assert abs(anchored.floor_height / (2.237 * 1.5) - 1) < 0.05
