# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.visual_odometry.odometer_trust import LengthTrust, RotationTrust

IMAGE = np.full(3, 4e-4**2)
DIRECTION = np.full(2, 0.01**2)
UP = np.array([0.0, -1.0, 0.0])  # of a camera that looks straight ahead


def _observe(trust: RotationTrust, offset: float, noise: float, count: int = 60) -> None:
    rng = np.random.default_rng(0)
    for _ in range(count):
        rotation = rng.normal(0, noise, 3) + np.array([0, offset, 0])
        trust.observe(rotation, rng.normal(0, 0.01, 2), 0.1, IMAGE, DIRECTION)


def test_what_the_image_explains_is_not_the_odometers_fault() -> None:
    trust = RotationTrust(UP)
    _observe(trust, 0.0, 4e-4)
    assert not trust.bias.any()
    assert (np.sqrt(trust.rotation_variance) < 1e-4).all()
    assert (np.sqrt(trust.direction_variance) < 1e-3).all()


def test_noise_beyond_the_image_weighs_the_odometer_down() -> None:
    trust = RotationTrust(UP)
    _observe(trust, 0.0, 4e-3)
    assert (np.sqrt(trust.rotation_variance) > 2.5e-3).all()


def test_a_yaw_bias_of_one_degree_a_second_is_found() -> None:
    trust = RotationTrust(UP)
    _observe(trust, np.radians(0.1), 4e-4)
    assert trust.bias[1] == pytest.approx(np.radians(1.0), rel=0.1)
    assert trust.bias[0] == trust.bias[2] == 0
    assert trust.has_lasting_bias
    assert np.sqrt(trust.rotation_variance[1]) < 2e-3


def test_yaw_is_as_uncertain_as_a_bias_not_yet_found() -> None:
    """0.02 rad/s for 0.1 s at first, then the deviation of the median of what was seen."""
    trust = RotationTrust(UP)
    _observe(trust, 0.0, 4e-4, count=5)
    deviations = np.sqrt(trust.rotation_variance)
    np.testing.assert_allclose(deviations, [1e-3, np.hypot(1e-3, 2e-3), 1e-3])
    _observe(trust, 0.0, 1e-9, count=60)  # landmarks that have taken the odometer's turns over
    deviations = np.sqrt(trust.rotation_variance)
    assert deviations[1] > 1.25 * 4e-4 / np.sqrt(60)
    assert (deviations[[0, 2]] < 4e-5).all()


def test_a_bias_of_the_last_seconds_alone_is_no_lasting_one() -> None:
    trust = RotationTrust(UP)
    for index in range(40):
        rotation = np.array([0, np.radians(0.1) if index >= 15 else 0.0, 0])
        trust.observe(rotation, None, 0.1, IMAGE, DIRECTION)
    assert trust.bias.any()
    assert not trust.has_lasting_bias


def test_a_single_disagreement_is_weighed_by_itself() -> None:
    trust = RotationTrust(UP)
    _observe(trust, 0.0, 4e-4)
    surprise = trust.observe(np.array([0, 0.01, 0]), None, 0.1, IMAGE, DIRECTION)
    np.testing.assert_allclose(surprise, [0, 1e-4, 0])


def test_scale_follows_the_odometer() -> None:
    trust, scale = LengthTrust(), 0.03
    for _ in range(40):
        correction = trust.update(scale, scale)
        assert correction is not None
        scale -= correction
    assert abs(scale) < 0.003
    assert trust.deviation < 0.012


def test_a_gross_slip_is_not_taken_at_once_and_not_refused_for_ever() -> None:
    trust = LengthTrust(patience=15)
    rng = np.random.default_rng(0)
    for _ in range(40):
        trust.update(float(rng.normal(0, 0.01)), 0.0)
    corrections = [trust.update(0.3, 0.3) for _ in range(15)]
    assert corrections[:14] == [None] * 14
    assert corrections[14] == pytest.approx(0.3, abs=0.01)


def test_uncertainty_grows_without_measurements() -> None:
    trust = LengthTrust(drift=0.006)
    for _ in range(60):
        trust.update(0.0, 0.0)
    settled = trust.deviation
    for _ in range(20):
        trust.coast()
    assert trust.deviation**2 == pytest.approx(settled**2 + 20 * 0.006**2)
