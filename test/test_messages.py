# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages by their fields, with stand-ins for the classes of any library."""

from __future__ import annotations

from types import SimpleNamespace as Fields

import numpy as np
import pytest

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.frames import matrix_to_pose, pose_to_matrix
from sfm_depth_ros.message_builder import MessageBuilder
from sfm_depth_ros.messages import (
    depth_to_metres,
    image_to_rgb,
    mask_to_labels,
    pose_of,
    serialised_stamp,
    stamp_to_ns,
    velocity_frame,
    velocity_of,
)

BUILDER = MessageBuilder(lambda type_name: Fields, np.asarray)
STAMP_NS = 1_700_000_000_123_456_789
HEADER = BUILDER.header(STAMP_NS, "frame")


def test_stamps_are_exact() -> None:
    assert stamp_to_ns(HEADER.stamp) == STAMP_NS
    assert stamp_to_ns(BUILDER.time(-1)) == -1


@pytest.mark.parametrize(("order", "flag"), [("<", 1), (">", 0)])
def test_the_stamp_of_a_serialised_message(order: str, flag: int) -> None:
    numbers = np.array([5, 20], f"{order}u4").tobytes()
    assert serialised_stamp(bytes([0, flag, 0, 0]) + numbers) == 5_000_000_020
    with pytest.raises(DataError, match="11 bytes"):
        serialised_stamp(bytes(11))


def test_what_is_built_is_read() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (4, 6, 3), np.uint8)
    np.testing.assert_array_equal(image_to_rgb(BUILDER.image(rgb, "rgb8", HEADER)), rgb)
    metres = np.full((4, 6), 2.5, np.float32)
    np.testing.assert_array_equal(depth_to_metres(BUILDER.image(metres, "32FC1", HEADER)), metres)
    labels = rgb[..., 0].copy()
    np.testing.assert_array_equal(mask_to_labels(BUILDER.image(labels, "mono8", HEADER)), labels)
    T = pose_to_matrix([1, 2, 3, 0, 0, np.sin(0.3), np.cos(0.3)])
    np.testing.assert_allclose(pose_of(BUILDER.transform(HEADER, "child", T).transform), T)
    twist = np.arange(6.0)
    odometry = BUILDER.odometry(HEADER, "child", T, None, twist, None)
    np.testing.assert_allclose(matrix_to_pose(pose_of(odometry.pose.pose)), matrix_to_pose(T))
    assert odometry.pose.covariance.tolist() == [0.0] * 36


@pytest.mark.parametrize("kind", ["odometry", "twist", "twist_with_covariance"])
def test_velocities_and_their_frames(kind: str) -> None:
    twist = np.arange(6.0)
    if kind == "odometry":
        message = BUILDER.odometry(HEADER, "", np.eye(4), None, twist, None)
    else:
        message = getattr(BUILDER, kind)(HEADER, twist)
    velocity = velocity_of(message)
    assert velocity.stamp_ns == STAMP_NS
    assert [*velocity.linear, *velocity.angular] == twist.tolist()
    assert velocity_frame(message) == ("" if kind == "odometry" else "frame")


@pytest.mark.parametrize(
    ("speed", "words"), [(np.nan, "finite numbers"), (1e30, "nothing moves so fast")]
)
@pytest.mark.parametrize("component", range(6))
def test_impossible_velocities_are_refused(speed: float, words: str, component: int) -> None:
    twist = np.zeros(6)
    twist[component] = speed
    with pytest.raises(DataError, match=words):
        velocity_of(BUILDER.twist(HEADER, twist))


def test_impossible_poses_are_refused() -> None:
    def pose(**changes: float) -> Fields:
        numbers = {"x": 0.0, "y": 0.0, "z": 0.0, "qw": 1.0} | changes
        position = Fields(x=numbers["x"], y=numbers["y"], z=numbers["z"])
        return Fields(position=position, orientation=Fields(x=0.0, y=0.0, z=0.0, w=numbers["qw"]))

    np.testing.assert_array_equal(pose_of(pose()), np.eye(4))
    with pytest.raises(DataError, match="NaN"):
        pose_of(pose(y=np.nan))
    with pytest.raises(DataError, match="impossible"):
        pose_of(pose(qw=0.0))


def test_an_image_of_a_wrong_shape_is_not_built() -> None:
    with pytest.raises(ValueError, match=r"\(4, 6\) is no rgb8 image"):
        BUILDER.image(np.zeros((4, 6), np.uint8), "rgb8", HEADER)
