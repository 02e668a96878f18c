# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import String

from sfm_depth_ros.ros import serialised
from sfm_depth_ros.ros.conversions import header_at, stamp_to_ns


def test_message_classes_are_found_by_name_or_not():
    assert serialised.message_class("sensor_msgs/msg/Image") is Image
    assert serialised.message_class("no_such_msgs/msg/Thing") is None
    assert serialised.message_class("sensor_msgs/msg/Thing") is None


def test_what_begins_with_a_header():
    assert serialised.begins_with_header(Image)
    assert not serialised.begins_with_header(String)


@pytest.mark.parametrize("offset_ns", [1, 999_999_999, 3_600 * 10**9, -5 * 10**9])
def test_only_the_stamp_moves(offset_ns):
    stamp_ns = 1_700_000_000_500_000_000
    image = Image(header=header_at(stamp_ns, "camera"), height=1, width=2, encoding="rgb8")
    moved = deserialize_message(
        serialised.restamped(serialize_message(image), offset_ns), Image
    )
    assert stamp_to_ns(moved.header.stamp) == stamp_ns + offset_ns
    moved.header = image.header
    assert moved == image


def test_big_endian_recordings_are_moved_too():
    recorded, moved = (b"\0\0\0\0" + struct.pack(">iI", s, 20) + b"rest" for s in (10, 15))
    assert serialised.restamped(recorded, 5 * 10**9) == moved
