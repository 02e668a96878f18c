# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from exact_drive import base_to_camera

from sfm_depth_ros.snippets.values import Velocity
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.time_offset import TimeOffsetEstimator

SECONDS = 14.0


def _yaw(t: float) -> float:
    """A drive with turns: at most 0.4 rad/s."""
    return float(0.2 * np.sin(1.1 * t) + 0.15 * np.sin(2.3 * t + 1.0))


def _yaw_rate(t: float) -> float:
    return float(0.22 * np.cos(1.1 * t) + 0.345 * np.cos(2.3 * t + 1.0))


def _estimate(late_s: float, turns: float = 1.0, bias: float = 0.0) -> TimeOffsetEstimator:
    buffer = VelocityBuffer(base_to_camera(), max_gap_s=0.3)
    estimator = TimeOffsetEstimator()
    rng = np.random.default_rng(0)
    sent = 0.0
    for index in range(1, int(SECONDS * 10)):
        later = 0.1 * index
        while sent + late_s <= later:
            rate = turns * _yaw_rate(sent) + bias + rng.normal(0, 0.002)
            angular = np.array([0.0, 0.0, rate])
            buffer.add(Velocity(round((sent + late_s + 1) * 1e9), np.zeros(3), angular))
            sent += 0.05
        turned = turns * (_yaw(later) - _yaw(later - 0.1)) + rng.normal(0, 5e-4)
        rotation = base_to_camera()[:3, :3].T @ [0.0, 0.0, turned]
        stamps = round((later - 0.1 + 1) * 1e9), round((later + 1) * 1e9)
        estimator.observe(*stamps, rotation, buffer)
    return estimator


@pytest.mark.parametrize("late_s", [-0.12, 0.0, 0.08, 0.15])
def test_offset_is_found_within_15_ms(late_s: float) -> None:
    offset = _estimate(late_s).estimate
    assert offset is not None
    assert offset.seconds == pytest.approx(late_s, abs=0.015)
    assert 0 < offset.std < 0.02


def test_a_yaw_bias_does_not_move_it() -> None:
    offset = _estimate(0.08, bias=0.05).estimate
    assert offset is not None
    assert offset.seconds == pytest.approx(0.08, abs=0.015)


def test_a_straight_drive_shows_nothing() -> None:
    assert _estimate(0.08, turns=0.0).estimate is None


def test_clear_forgets() -> None:
    estimator = _estimate(0.08)
    estimator.clear()
    assert estimator.estimate is None
