# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from exact_drive import base_to_camera

from sfm_depth_ros.geometry.frames import invert, twist_to_transform
from sfm_depth_ros.snippets.values import Velocity
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.odometer_input import OdometerInput

TWIST = np.array([5.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.3])


def _input(seconds: float) -> OdometerInput:
    buffer = VelocityBuffer(base_to_camera(), max_gap_s=0.3)
    for t in np.arange(0, seconds + 1e-9, 0.05):
        buffer.add(Velocity(round(t * 1e9), *TWIST))
    return OdometerInput(buffer)


def _camera_motion(seconds: float) -> np.ndarray:
    T_base_camera = base_to_camera()
    return invert(T_base_camera) @ twist_to_transform(*TWIST, seconds) @ T_base_camera


def test_a_covered_interval_is_the_displacement() -> None:
    measured = _input(1.0).between(200_000_000, 300_000_000)
    assert measured is not None and not measured.is_extrapolated
    np.testing.assert_allclose(measured.T_earlier_later, _camera_motion(0.1), atol=1e-9)
    # lever arm: 0.5 m ahead of the axle the camera moves sideways by 0.5 * 0.03
    assert measured.T_earlier_later[0, 3] == pytest.approx(-0.5 * 0.03, abs=0.01)


def test_the_newest_velocity_is_held_for_what_is_still_to_come() -> None:
    """Exact where the twist is constant; the variance grows with the time that is missing."""
    measured = _input(0.25).between(200_000_000, 300_000_000)
    assert measured is not None and measured.is_extrapolated
    assert measured.extrapolated_s == pytest.approx(0.05)
    np.testing.assert_allclose(measured.T_earlier_later, _camera_motion(0.1), atol=1e-9)
    later = _input(0.15).between(200_000_000, 300_000_000)
    assert later is not None
    assert later.extrapolation_variance > measured.extrapolation_variance
    np.testing.assert_allclose(later.T_earlier_later, _camera_motion(0.1), atol=1e-9)


def test_a_silent_odometer_measures_nothing() -> None:
    assert _input(0.2).between(900_000_000, 1_000_000_000) is None
    assert OdometerInput(None).between(0, 1) is None


def test_a_gap_measures_nothing() -> None:
    odometer = _input(0.2)
    assert odometer.velocities is not None
    odometer.velocities.add(Velocity(1_000_000_000, *TWIST))
    assert odometer.between(500_000_000, 600_000_000) is None
