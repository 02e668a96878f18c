# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Extra inputs are subscribed to where the objective uses them, and nowhere else."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from sensor_msgs.msg import CompressedImage, Image

from sfm_depth_ros.ros.error_log import ErrorLog
from sfm_depth_ros.ros.extra_inputs import ExtraInputs


class FakeNode:
    """Notes what is subscribed to."""

    def __init__(self):
        self.topics = {}

    def create_subscription(self, kind, topic, callback, profile, qos_overriding_options):
        self.topics[topic] = (kind, callback)
        return topic

    def destroy_subscription(self, topic):
        del self.topics[topic]


class FakeReceiver:
    def __init__(self):
        self.taken = []

    def add_beside(self, role, message):
        self.taken.append((role, message))

    def set_right_camera(self, camera):
        self.taken.append(("camera", camera))


@pytest.mark.parametrize(
    ("roles", "topics"),
    [
        ((), []),
        (("sparse_depth",), ["sparse_depth"]),
        (("right_image", "instance_mask"), ["right/image", "instance_mask", "right/camera_info"]),
    ],
)
def test_topics_of_roles(roles, topics):
    node, receiver = FakeNode(), FakeReceiver()
    inputs = ExtraInputs(node, roles, False, receiver, ErrorLog())
    assert list(node.topics) == topics
    for topic, (_, callback) in node.topics.items():
        if topic != "right/camera_info":
            callback(topic)
    assert [role for role, _ in receiver.taken] == list(roles)
    inputs.close()
    assert not node.topics


def test_only_the_right_image_follows_the_transport():
    node = FakeNode()
    ExtraInputs(node, ("right_image", "sparse_depth"), True, FakeReceiver(), ErrorLog())
    assert node.topics["right/image"][0] is CompressedImage
    assert node.topics["sparse_depth"][0] is Image


def test_a_bad_calibration_is_said():
    node, errors = FakeNode(), ErrorLog()
    receiver = FakeReceiver()
    ExtraInputs(node, ("right_image",), False, receiver, errors)
    node.topics["right/camera_info"][1](object())
    assert receiver.taken == []
    assert errors.current()
