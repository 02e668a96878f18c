# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service of the image subscription: what is changed for lost images, and what not."""

from __future__ import annotations

import time
from collections import deque

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.ros import inputs as module
from sfm_depth_ros.ros.error_log import ErrorLog
from sfm_depth_ros.ros.inputs import InputHandlers, Inputs, InputState

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE


def _ignore(_):
    return None


@pytest.fixture
def looked(ros_node, monkeypatch):
    """Profile of the image subscription after a look at a publisher from which nothing comes."""

    def look(publisher=RELIABLE, **overrides):
        given = {f"qos_overrides./image.subscription.{k}": v for k, v in overrides.items()}
        node = ros_node(**given)
        handlers = InputHandlers(_ignore, _ignore, _ignore)
        state = InputState(
            images_at=deque([time.monotonic() - 60])
        )  # the node was inactive for a minute
        inputs = Inputs(node, DepthNodeConfig(), handlers, state, ErrorLog())
        node.create_publisher(Image, "image", QoSProfile(depth=5, reliability=publisher))
        end = time.monotonic() + 10.0
        while not node.get_publishers_info_by_topic("/image"):
            assert time.monotonic() < end
            time.sleep(0.02)
        inputs.look_at_publishers()
        assert inputs._subscriptions[0].qos_profile.reliability == BEST_EFFORT or overrides
        monkeypatch.setattr(module, "SILENCE_S", -1.0)
        inputs.look_at_publishers()
        (seen,) = node.get_subscriptions_info_by_topic("/image")
        profile = inputs._subscriptions[0].qos_profile
        assert seen.qos_profile.reliability == profile.reliability
        return profile

    return look


def test_images_that_do_not_come_are_asked_for_again(looked):
    profile = looked()
    assert (profile.reliability, profile.depth) == (RELIABLE, 5)


def test_a_best_effort_publisher_cannot_be_asked(looked):
    assert looked(publisher=BEST_EFFORT).reliability == BEST_EFFORT


def test_the_users_choice_of_best_effort_stays(looked):
    assert looked(reliability="best_effort").reliability == BEST_EFFORT


def test_the_users_depth_is_kept(looked):
    profile = looked(depth=9)
    assert (profile.reliability, profile.depth) == (RELIABLE, 9)
