# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from sfm_depth_ros.geometry.frames import twist_to_transform
from sfm_depth_ros.visual_odometry.odometer_input import MeasuredMotion
from sfm_depth_ros.visual_odometry.options import OdometerOptions
from sfm_depth_ros.visual_odometry.standstill import is_standing

OPTIONS = OdometerOptions()
STILL = np.random.default_rng(0).normal(0, 0.03, (100, 2))


def _measured(metres: float, radians: float = 0.0, seconds: float = 0.1) -> MeasuredMotion:
    return MeasuredMotion(twist_to_transform([0, 0, metres], [0, radians, 0], 1.0), seconds)


def _passing(share: float) -> np.ndarray:
    """Something passes in front of a part of the image."""
    flow = STILL.copy()
    flow[: int(100 * share)] += np.array([8.0, 0.0])
    return flow


def test_still_image_without_odometer() -> None:
    assert is_standing(STILL, None, OPTIONS) == (True, "")
    assert not is_standing(_passing(0.5), None, OPTIONS)[0]


def test_odometer_at_rest_allows_much_to_pass() -> None:
    assert is_standing(_passing(0.6), _measured(0.0), OPTIONS)[0]
    assert not is_standing(_passing(0.8), _measured(0.0), OPTIONS)[0]


def test_a_body_that_sways_on_its_springs_stands() -> None:
    swaying = STILL + np.array([0.1, 0.45])
    assert is_standing(swaying, _measured(0.005), OPTIONS)[0]
    assert not is_standing(2 * swaying, _measured(0.005), OPTIONS)[0]
    assert not is_standing(swaying, _measured(0.005, 0.01), OPTIONS)[0]


def test_noise_of_an_odometer_at_rest_adds_up_with_the_root_of_the_time() -> None:
    """12 mm after a tenth of a second, 36 mm after nine; 4 mm an image are 36 mm too."""
    assert is_standing(STILL, _measured(0.035, seconds=0.9), OPTIONS) == (True, "")
    creeping = STILL + np.array([0.25, 0.0])
    assert not is_standing(creeping, _measured(0.037, seconds=0.9), OPTIONS)[0]
    assert not is_standing(creeping, _measured(0.035, seconds=0.5), OPTIONS)[0]


def test_slow_motion_is_motion() -> None:
    creeping = STILL + np.array([0.25, 0.0])
    assert not is_standing(creeping, _measured(0.02), OPTIONS)[0]
    assert not is_standing(creeping, _measured(0.0, 0.01), OPTIONS)[0]


def test_spinning_wheels_are_remarked() -> None:
    stands, remark = is_standing(STILL, _measured(0.3), OPTIONS)
    assert stands and "odometer moves" in remark


def test_few_tracks_decide_nothing() -> None:
    assert not is_standing(STILL[:10], None, OPTIONS)[0]
