# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.ros import conversions, serialised
from sfm_depth_ros.ros.conversions import header_at, stamp_to_ns

STAMP_NS = 1_700_000_000_500_000_000


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
    moved = deserialize_message(serialised.restamped(serialize_message(image), offset_ns), Image)
    assert stamp_to_ns(moved.header.stamp) == stamp_ns + offset_ns
    moved.header = image.header
    assert moved == image


def test_big_endian_recordings_are_moved_too():
    recorded, moved = (b"\0\0\0\0" + struct.pack(">iI", s, 20) + b"rest" for s in (10, 15))
    assert serialised.restamped(recorded, 5 * 10**9) == moved


def test_a_repeated_message_is_what_rclpy_would_have_serialised():
    repeated, made = serialised.RepeatedMessage(), []
    rng = np.random.default_rng(0)
    for index, (frame_id, size) in enumerate(
        [("camera", (4, 6)), ("camera", (4, 6)), ("another", (4, 6)), ("another", (3, 5))]
    ):
        header = conversions.header_at(STAMP_NS + index * 333, frame_id)
        depth = rng.random(size, np.float32)

        def make(depth=depth, header=header):
            made.append(depth.shape)
            return conversions.array_to_image(depth, "32FC1", header)

        cdr = repeated.cdr(header, size, make, depth)
        count = len(made)
        assert deserialize_message(cdr, Image) == make()
        del made[count:]
    assert made == [(4, 6), (4, 6), (3, 5)], "only where more changes than stamp and pixels"


def test_a_repeated_message_without_data_keeps_all_but_the_stamp():
    repeated = serialised.RepeatedMessage()
    intrinsics = Intrinsics.from_hfov(80.0, 320, 160)
    for stamp_ns in (STAMP_NS, STAMP_NS + 5):
        header = conversions.header_at(stamp_ns, "camera")
        message = conversions.intrinsics_to_camera_info(intrinsics, header)
        cdr = repeated.cdr(header, intrinsics, lambda message=message: message)
        assert deserialize_message(cdr, CameraInfo) == message
