# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rotations, poses and twists in numpy, against hand-computed cases and each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sfm_depth_ros.geometry.frames import (
    R_BASE_OPTICAL,
    invert,
    matrix_to_pose,
    matrix_to_quaternion,
    pose_to_matrix,
    quaternion_to_matrix,
    rotation_matrix,
    rotation_vector,
    twist_to_transform,
)

HALF = math.sqrt(0.5)


def _random_vectors(count: int, longest: float) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return list(directions * rng.uniform(0, longest, (count, 1)))


def test_optical_axes_lie_where_rep_103_says() -> None:
    right, down, forward = np.eye(3)
    np.testing.assert_array_equal(R_BASE_OPTICAL @ forward, [1, 0, 0])
    np.testing.assert_array_equal(R_BASE_OPTICAL @ right, [0, -1, 0])
    np.testing.assert_array_equal(R_BASE_OPTICAL @ down, [0, 0, -1])
    np.testing.assert_allclose(matrix_to_quaternion(R_BASE_OPTICAL), [-0.5, 0.5, -0.5, 0.5])


def test_optical_rotation_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        R_BASE_OPTICAL[0, 0] = 1.0


def test_quarter_turn_about_z() -> None:
    expected = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    np.testing.assert_allclose(quaternion_to_matrix([0, 0, HALF, HALF]), expected, atol=1e-15)
    np.testing.assert_allclose(rotation_matrix([0, 0, math.pi / 2]), expected, atol=1e-15)
    np.testing.assert_allclose(rotation_vector(expected), [0, 0, math.pi / 2], atol=1e-15)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_turns_survive_the_quaternion(axis: int) -> None:
    rotation = -np.eye(3)
    rotation[axis, axis] = 1.0
    quaternion = matrix_to_quaternion(rotation)
    np.testing.assert_allclose(np.abs(quaternion), np.eye(4)[axis])
    np.testing.assert_allclose(quaternion_to_matrix(quaternion), rotation, atol=1e-15)


@pytest.mark.parametrize("vector", [np.zeros(3), *_random_vectors(20, 3.1),
                                    *_random_vectors(5, 1e-9)])  # fmt: skip
def test_rotation_vector_round_trip(vector: np.ndarray) -> None:
    rotation = rotation_matrix(vector)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(rotation_vector(rotation), vector, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(
        quaternion_to_matrix(matrix_to_quaternion(rotation)), rotation, atol=1e-14
    )


def test_unnormalised_quaternion_is_normalised() -> None:
    np.testing.assert_allclose(quaternion_to_matrix([0, 0, 0, 5.0]), np.eye(3))


@pytest.mark.parametrize("quaternion", [[0, 0, 0, 0], [0, 0, float("nan"), 1], [0, 0, 1]])
def test_impossible_quaternions_are_refused(quaternion: list[float]) -> None:
    with pytest.raises(ValueError, match="quaternion"):
        quaternion_to_matrix(quaternion)


def test_pose_round_trip() -> None:
    pose = [1.0, -2.0, 0.5, 0.5, -0.5, 0.5, 0.5]
    matrix = pose_to_matrix(pose)
    np.testing.assert_array_equal(matrix[:, 3], [1.0, -2.0, 0.5, 1.0])
    np.testing.assert_allclose(matrix_to_pose(matrix), pose)
    with pytest.raises(ValueError, match="expected a pose"):
        pose_to_matrix(pose[:6])


def test_inverse_undoes() -> None:
    matrix = pose_to_matrix([1.0, -2.0, 0.5, 0.1, 0.2, 0.3, 0.9])
    np.testing.assert_allclose(invert(matrix) @ matrix, np.eye(4), atol=1e-15)


def test_straight_twist() -> None:
    expected = np.eye(4)
    expected[:3, 3] = [1.0, 0.0, -0.5]
    np.testing.assert_allclose(twist_to_transform([2, 0, -1], [0, 0, 0], 0.5), expected)


def test_quarter_circle() -> None:
    # Forward pi/2 m while turning left by pi/2: a circle of radius 1 m about (0, 1).
    moved = twist_to_transform([math.pi / 2, 0, 0], [0, 0, math.pi / 2], 1.0)
    np.testing.assert_allclose(moved[:3, 3], [1.0, 1.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(moved[:3, :3] @ [1, 0, 0], [0, 1, 0], atol=1e-15)


def test_twist_equals_many_small_steps() -> None:
    linear, angular = np.array([3.0, 0.2, -0.1]), np.array([0.1, -0.3, 0.8])
    steps = 20000
    small = np.eye(4)
    small[:3, :3] = rotation_matrix(angular / steps)
    small[:3, 3] = linear / steps
    moved = np.linalg.matrix_power(small, steps)
    np.testing.assert_allclose(twist_to_transform(linear, angular, 1.0), moved, atol=1e-4)


def test_twists_add_up_and_look_back() -> None:
    linear, angular = [3.0, 0.2, -0.1], [0.1, -0.3, 0.8]
    half = twist_to_transform(linear, angular, 0.5)
    np.testing.assert_allclose(half @ half, twist_to_transform(linear, angular, 1.0), atol=1e-14)
    np.testing.assert_allclose(twist_to_transform(linear, angular, -0.5), invert(half), atol=1e-14)


@pytest.mark.parametrize("angle", [0.99e-4, 1.01e-4])
def test_series_joins_the_formula(angle: float) -> None:
    moved = twist_to_transform([1, 0, 0], [0, 0, angle], 1.0)
    exact = [math.sin(angle) / angle, 2 * math.sin(angle / 2) ** 2 / angle, 0.0]
    np.testing.assert_allclose(moved[:3, 3], exact, rtol=1e-8, atol=1e-16)
