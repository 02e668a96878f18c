# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conventions of published pose networks, against matrices multiplied by hand in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfm_depth_ros.geometry.se3 import motion_to_transform
from sfm_depth_ros.networks.pose_convention import (
    axis_angle_to_quaternion,
    euler_to_axis_angle,
    in_network_order,
    quaternion_to_axis_angle,
    to_neighbour_motions,
)

RNG = np.random.default_rng(0)
MOTIONS = np.concatenate([
    RNG.normal(size=(40, 12)) * np.repeat([2.0, 0.7, 2.0, 0.7], 3),  # large turns
    RNG.normal(size=(20, 12)) * 1e-3,
    RNG.normal(size=(20, 12)) * 1e-9,
    np.zeros((1, 12)),
])  # fmt: skip


def about(axis: int, angle: float) -> np.ndarray:
    """Rotation about one axis, right-handed."""
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    rotation = np.eye(3)
    rotation[i, i] = rotation[j, j] = np.cos(angle)
    rotation[i, j], rotation[j, i] = -np.sin(angle), np.sin(angle)
    return rotation


def transform(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation, translation
    return T


def pose_vec2mat(vector: np.ndarray) -> np.ndarray:
    """PackNet-SfM: translation, then Euler angles of Rx Ry Rz."""
    x, y, z = vector[3:]
    return transform(about(0, x) @ about(1, y) @ about(2, z), vector[:3])


def transformation_from_parameters(vector: np.ndarray, invert: bool) -> np.ndarray:
    """Monodepth2: axis-angle, then translation; T R, or R^T T(-t) where inverted."""
    angle = np.linalg.norm(vector[:3])
    x, y, z = vector[:3] / (angle + 1e-12)
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array(
        [
            [x * x * (1 - c) + c, x * y * (1 - c) - z * s, x * z * (1 - c) + y * s],
            [x * y * (1 - c) + z * s, y * y * (1 - c) + c, y * z * (1 - c) - x * s],
            [x * z * (1 - c) - y * s, y * z * (1 - c) + x * s, z * z * (1 - c) + c],
        ]
    )
    R, t = transform(rotation, np.zeros(3)), vector[3:6]
    if invert:
        return R.T @ transform(np.eye(3), -t)
    return transform(np.eye(3), t) @ R


def neighbours(raw: np.ndarray, convention: str, pairs: int) -> np.ndarray:
    """``(N, pairs, 4, 4)`` that our conversion means."""
    motion = to_neighbour_motions(torch.from_numpy(raw), convention, pairs)
    return motion_to_transform(motion.unflatten(1, (pairs, 6))).numpy()


def test_three_images_of_packnet_sfm() -> None:
    """The second motion is from the target to the image after; we answer its inverse."""
    found = neighbours(MOTIONS, "packnet_sfm", 2)
    for T, raw in zip(found, MOTIONS, strict=True):
        np.testing.assert_allclose(T[0], pose_vec2mat(raw[:6]), atol=1e-12)
        np.testing.assert_allclose(T[1] @ pose_vec2mat(raw[6:]), np.eye(4), atol=1e-12)


def test_a_pair_of_packnet_sfm() -> None:
    found = neighbours(MOTIONS[:, :6], "packnet_sfm", 1)
    for T, raw in zip(found, MOTIONS, strict=True):
        np.testing.assert_allclose(T[0], pose_vec2mat(raw[:6]), atol=1e-12)


def test_a_pair_of_monodepth2() -> None:
    """Towards the image before the target it inverts; towards the one after it does not."""
    raw = MOTIONS[:, [3, 4, 5, 0, 1, 2, *range(6, 12)]]
    found = neighbours(raw, "monodepth2", 1)
    for T, vector in zip(found, raw, strict=True):
        np.testing.assert_allclose(T[0], transformation_from_parameters(vector, True), atol=1e-9)
        towards_later = transformation_from_parameters(vector, False)
        np.testing.assert_allclose(np.linalg.inv(T[0]), towards_later, atol=1e-9)


def test_native_is_what_we_say_anyway() -> None:
    raw = torch.from_numpy(MOTIONS)
    assert to_neighbour_motions(raw, "native", 2) is raw


@pytest.mark.parametrize("angle", [1e-12, 1e-5, 0.3, 3.0, np.pi - 1e-6])
def test_euler_angles_about_one_axis_are_the_axis_angle(angle: float) -> None:
    euler = angle * torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(euler_to_axis_angle(euler), euler, rtol=1e-9, atol=1e-15)


def test_quaternions_there_and_back_take_the_shorter_way() -> None:
    axis_angle = torch.tensor([[0.1, -0.2, 0.3], [4.0, 0.0, 0.0], [0.0, 0.0, 0.0]]).double()
    back = quaternion_to_axis_angle(*axis_angle_to_quaternion(axis_angle))
    expected = axis_angle.clone()
    expected[1, 0] = 4.0 - 2 * np.pi
    torch.testing.assert_close(back, expected)


@pytest.mark.parametrize(
    ("convention", "pairs"), [("packnet_sfm", 1), ("packnet_sfm", 2), ("monodepth2", 1)]
)
def test_gradients_are_right_at_rest_too(convention: str, pairs: int) -> None:
    width = 12 if convention == "monodepth2" else 6 * pairs
    raw = torch.from_numpy(np.concatenate([MOTIONS[:3, :width], MOTIONS[-1:, :width]]))
    raw.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: to_neighbour_motions(x, convention, pairs), raw, atol=1e-6
    )


def test_images_stand_in_the_order_that_the_network_knows() -> None:
    stack = torch.arange(9.0).view(1, 9, 1, 1)
    assert in_network_order(stack, "packnet_sfm", 3).flatten().tolist() == [
        3,
        4,
        5,
        0,
        1,
        2,
        6,
        7,
        8,
    ]
    pair = stack[:, :6]
    assert in_network_order(pair, "packnet_sfm", 2).flatten().tolist() == [3, 4, 5, 0, 1, 2]
    assert in_network_order(stack, "native", 3) is stack
    assert in_network_order(pair, "monodepth2", 2) is pair
