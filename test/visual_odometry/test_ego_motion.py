# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motions: their logarithm, frames, covariance, and the path they add up to."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.geometry.frames import (
    R_BASE_OPTICAL,
    invert,
    rotation_matrix,
    transform_logarithm,
    twist_to_transform,
)
from sfm_depth_ros.visual_odometry.ego_motion import EgoMotion, MotionUncertainty, VisualOdometry


def _extrinsics() -> np.ndarray:
    T_base_camera = np.eye(4)
    T_base_camera[:3, :3] = R_BASE_OPTICAL
    T_base_camera[:3, 3] = (0.8, 0.1, 1.2)
    return T_base_camera


def _camera_motion(T_base: np.ndarray, covariance: np.ndarray | None = None) -> EgoMotion:
    T_base_camera = _extrinsics()
    motion = invert(T_base_camera) @ T_base @ T_base_camera
    return EgoMotion(0, 100_000_000, motion, np.eye(6) if covariance is None else covariance)


@pytest.mark.parametrize("angle", [0.0, 1e-6, 1e-3, 0.7, 3.0])
def test_logarithm_undoes_the_exponential(angle: float) -> None:
    linear, angular = np.array([1.0, -0.2, 0.3]), angle * np.array([0.6, 0.0, 0.8])
    twist = transform_logarithm(twist_to_transform(linear, angular, 1.0))
    np.testing.assert_allclose(twist, np.concatenate([linear, angular]), atol=1e-9)


def test_twist_of_the_base_is_the_odometers() -> None:
    linear, angular = np.array([5.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.4])
    motion = _camera_motion(twist_to_transform(linear, angular, 0.1))
    base = motion.carried_to(_extrinsics())
    np.testing.assert_allclose(base.twist, [5, 0, 0, 0, 0, 0.4], atol=1e-9)
    # On a curve the camera, which is ahead and aside of the base, moves differently.
    assert motion.length != pytest.approx(base.length, abs=1e-3)


def test_covariance_is_carried_as_samples_are() -> None:
    rng = np.random.default_rng(1)
    spread = rng.normal(size=(6, 6)) * 0.01
    motion = _camera_motion(twist_to_transform([3, 0, 0], [0, 0, 0.5], 0.1), spread @ spread.T)
    base = motion.carried_to(_extrinsics())
    samples = []
    for _ in range(4000):
        error = spread @ rng.normal(size=6)
        noisy = motion.T_earlier_later @ twist_to_transform(error[:3], error[3:], 1.0)
        noisy_base = _extrinsics() @ noisy @ invert(_extrinsics())
        samples.append(transform_logarithm(invert(base.T_earlier_later) @ noisy_base))
    expected = np.cov(np.array(samples).T)
    np.testing.assert_allclose(base.covariance, expected, atol=0.1 * np.abs(expected).max())
    np.testing.assert_allclose(base.twist_covariance, base.covariance * 100.0)


def test_path_of_a_circle_closes() -> None:
    odometry = VisualOdometry(_extrinsics())
    step = twist_to_transform([4.0, 0, 0], [0, 0, 2 * np.pi / 10], 0.1)
    for _ in range(100):
        odometry.add(_camera_motion(step, np.eye(6) * 1e-6))
    np.testing.assert_allclose(odometry.T_odom_base, np.eye(4), atol=1e-9)
    assert np.all(np.linalg.eigvalsh(odometry.pose_covariance) > 0)
    odometry.reset()
    np.testing.assert_array_equal(odometry.pose_covariance, np.zeros((6, 6)))


def test_sideways_uncertainty_of_a_straight_path_grows_by_its_heading() -> None:
    odometry = VisualOdometry(np.eye(4))
    heading = np.zeros((6, 6))
    heading[5, 5] = 1e-4
    for _ in range(10):
        odometry.add(EgoMotion(0, 1, twist_to_transform([1, 0, 0], [0, 0, 0], 1.0), heading))
    covariance = odometry.pose_covariance
    assert covariance[5, 5] == pytest.approx(10e-4)
    assert covariance[1, 1] == pytest.approx(1e-4 * sum(i * i for i in range(10)))
    assert covariance[0, 0] == pytest.approx(0.0)


def test_pose_covariance_is_about_the_axes_of_odom() -> None:
    odometry = VisualOdometry(np.eye(4))
    quarter_turn = np.eye(4)
    quarter_turn[:3, :3] = rotation_matrix([0, 0, np.pi / 2])
    odometry.add(EgoMotion(0, 1, quarter_turn, np.diag([4.0, 1.0, 0, 0, 0, 0])))
    np.testing.assert_allclose(np.diag(odometry.pose_covariance)[:2], [1.0, 4.0])


def test_uncertainty_follows_the_residuals() -> None:
    uncertainty = MotionUncertainty(translation_floor=0.0, rotation_floor=0.0)
    predicted = twist_to_transform([0, 0, 1.0], [0, 0.1, 0], 1.0)
    before = uncertainty.covariance(predicted)
    expected = [0.2 * np.linalg.norm(predicted[:3, 3])] * 3 + [0.02] * 3
    np.testing.assert_allclose(np.sqrt(np.diag(before)), expected)
    rng = np.random.default_rng(0)
    for _ in range(50):
        noise = rng.normal(size=6) * [0.01, 0.01, 0.05, 0.001, 0.002, 0.001]
        noise[2] += 0.1
        uncertainty.observe(predicted, predicted @ twist_to_transform(noise[:3], noise[3:], 1.0))
    deviation = np.sqrt(np.diag(uncertainty.covariance(predicted)))
    assert deviation[2] == pytest.approx(np.hypot(0.1, 0.05), rel=0.15)
    assert deviation[4] == pytest.approx(0.002, rel=0.3)
    uncertainty.clear()
    np.testing.assert_allclose(uncertainty.covariance(predicted), before)
