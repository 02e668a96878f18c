# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Wrong inputs of a live estimator are named within ten seconds; right ones never."""

from __future__ import annotations

import numpy as np
import pytest
from exact_drive import CAMERA, Drive, base_to_camera, create_oracle_engine, make_drive, oracle

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.estimation.input_monitor import InputMonitor
from sfm_depth_ros.snippets.values import Velocity
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.landmark_scale import ScaleEstimate
from sfm_depth_ros.visual_odometry.landmarks import Landmarks
from sfm_depth_ros.visual_odometry.odometry_step import FUSED, OdometryStep, TrackCounts

SECONDS = 8
SPEED, YAW_RATE = 6.0, 0.07


@pytest.fixture(scope="module")
def drive() -> Drive:
    return make_drive(10 * SECONDS, speed=SPEED, yaw_rate=YAW_RATE)


def _odometer(speed_factor: float = 1.0, yaw_factor: float = 1.0) -> VelocityBuffer:
    velocities = VelocityBuffer(base_to_camera(), max_gap_s=0.3)
    for index in range(50 * SECONDS + 1):
        linear = np.array([speed_factor * SPEED, 0.0, 0.0])
        angular = np.array([0.0, 0.0, yaw_factor * YAW_RATE])
        velocities.add(Velocity(index * 20_000_000, linear, angular))
    return velocities


def _faults(drive: Drive, velocities: VelocityBuffer) -> set[str]:
    """Kinds of fault that were named at any time; velocities lag behind images by 60 ms."""
    estimator = DepthEstimator(
        oracle(drive), CameraModel.from_intrinsics(CAMERA), DepthNodeConfig(), create_oracle_engine
    )
    kinds = set()
    known = VelocityBuffer(base_to_camera(), max_gap_s=0.3)
    waiting = [velocities.at(index * 20_000_000) for index in range(50 * SECONDS + 1)]
    for frame in drive.frames:
        while waiting and waiting[0].stamp_ns <= frame.stamp_ns - 60_000_000:
            known.add(waiting.pop(0))
        result = estimator.estimate(frame.image, frame.stamp_ns, "camera", known)
        kinds |= {fault.kind for fault in result.faults}
    return kinds


def test_a_right_odometer_is_not_named(drive: Drive) -> None:
    assert _faults(drive, _odometer()) == set()


@pytest.mark.parametrize(
    ("speed_factor", "yaw_factor", "kind"),
    [(3.6, 1.0, "speed_unit"), (-1.0, 1.0, "speed_sign"), (1.0, -1.0, "yaw_sign")],
)
def test_wrong_units_and_signs_are_named(
    drive: Drive, speed_factor: float, yaw_factor: float, kind: str
) -> None:
    assert kind in _faults(drive, _odometer(speed_factor, yaw_factor))


def _unit_named(network_floor: float | None) -> set[str]:
    """Faults of an odometer in miles an hour where the floor has no landmarks."""
    monitor, velocities = InputMonitor(), _odometer(2.237)
    seen = velocities.displacement(0, 100_000_000).T_earlier_later
    scale = ScaleEstimate(1 / 2.237, 0.4, 0.5, 5.0)
    for index in range(60):
        earlier, later = index * 100_000_000, (index + 1) * 100_000_000
        step = OdometryStep(
            earlier, later, seen, np.eye(6), FUSED, Landmarks.none(later, CAMERA), TrackCounts(),
            T_by_image=seen,
        )  # fmt: skip
        monitor.add(step, velocities, scale, network_floor)
    return {fault.kind for fault in monitor.faults}


def test_the_networks_floor_is_a_witness_where_the_floor_has_no_landmarks() -> None:
    """The network alone is believed about larger factors only."""
    mount = float(base_to_camera()[2, 3])
    assert _unit_named(None) == set()
    assert _unit_named(2.237 * mount) == {"speed_unit"}
    assert _unit_named(mount) == set()
