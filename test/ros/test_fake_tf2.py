# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One list of behaviours for the stand-in of tf2 and, where it is installed, for tf2 itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from geometry_msgs.msg import TransformStamped
from rclpy.time import Time


def _module(path):
    spec = importlib.util.spec_from_file_location("stand_in_tf2", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["stand-in", "real"])
def tf2(request):
    if request.param == "real":
        pytest.importorskip("tf2_py", reason="tf2 is not installed")
        return pytest.importorskip("tf2_ros")
    return _module(Path(__file__).parent / "fake_tf2" / "tf2_ros.py")


def edge(parent, child, x=0.0, yaw=(0.0, 1.0), stamp=1):
    """Child at x metres in front of the parent; yaw by z and w of its quaternion."""
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id, message.header.stamp.sec = parent, stamp
    message.transform.translation.x = x
    message.transform.rotation.z, message.transform.rotation.w = yaw
    return message


def found(buffer, target, source):
    transform = buffer.lookup_transform(target, source, Time()).transform
    return [round(getattr(transform.translation, axis), 6) + 0.0 for axis in "xyz"]


def test_chains_are_composed_in_both_directions(tf2):
    buffer = tf2.Buffer()
    quarter = (0.5**0.5, 0.5**0.5)
    buffer.set_transform_static(edge("base_link", "mast", 1.0, quarter), "")
    buffer.set_transform_static(edge("mast", "camera", 2.0), "")
    buffer.set_transform_static(edge("base_link", "lidar", 5.0), "")
    assert found(buffer, "base_link", "camera") == [1.0, 2.0, 0.0]
    assert found(buffer, "camera", "base_link") == [-2.0, 1.0, 0.0]
    assert found(buffer, "lidar", "camera") == [-4.0, 2.0, 0.0]
    assert found(buffer, "camera", "camera") == [0.0, 0.0, 0.0]


def test_what_cannot_be_looked_up(tf2):
    buffer = tf2.Buffer()
    buffer.set_transform_static(edge("base_link", "mast"), "")
    buffer.set_transform_static(edge("rig", "camera"), "")
    for target, source, error in (
        ("base_link", "unknown", tf2.LookupException),
        ("base_link", "camera", tf2.ConnectivityException),
        ("base_link", "/mast", tf2.InvalidArgumentException),
        ("base_link", "", tf2.InvalidArgumentException),
    ):
        with pytest.raises(error):
            buffer.lookup_transform(target, source, Time())
        assert issubclass(error, tf2.TransformException)
    buffer.set_transform_static(edge("mast", "rig", 3.0), "")
    assert found(buffer, "base_link", "camera") == [3.0, 0.0, 0.0]


def test_slashes_of_published_frames_are_taken_off(tf2):
    buffer = tf2.Buffer()
    buffer.set_transform_static(edge("/base_link", "/camera", 1.0), "")
    assert found(buffer, "base_link", "camera") == [1.0, 0.0, 0.0]


def test_impossible_transforms_are_ignored(tf2):
    buffer = tf2.Buffer()
    nan = float("nan")
    for bad in (
        edge("base_link", "base_link"), edge("base_link", ""), edge("", "camera"),
        edge("base_link", "camera", nan), edge("base_link", "camera", yaw=(0.0, 0.0)),
    ):  # fmt: skip
        buffer.set_transform_static(bad, "")
    with pytest.raises(tf2.TransformException):
        buffer.lookup_transform("base_link", "camera", Time())


def test_moving_edges_need_a_common_time(tf2):
    buffer = tf2.Buffer()
    buffer.set_transform(edge("base_link", "pan", 1.0, stamp=10), "")
    buffer.set_transform(edge("pan", "camera", 0.5, stamp=20), "")
    with pytest.raises(tf2.ExtrapolationException):
        buffer.lookup_transform("base_link", "camera", Time())
    buffer.set_transform(edge("base_link", "pan", 2.0, stamp=20), "")
    assert found(buffer, "base_link", "camera") == [2.5, 0.0, 0.0]
