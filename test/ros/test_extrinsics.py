# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile

from sfm_depth_ros import optional
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.geometry.frames import pose_to_matrix
from sfm_depth_ros.ros.extrinsics import Extrinsics

DEFAULT = pose_to_matrix(DepthNodeConfig().base_to_camera)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture
def tf2(monkeypatch):
    """tf2_ros, also where the real one is installed."""
    path = Path(__file__).parent / "fake_tf2" / "tf2_ros.py"
    spec = importlib.util.spec_from_file_location("tf2_ros", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "tf2_ros", module)


@pytest.fixture
def no_tf2(monkeypatch):
    monkeypatch.setattr(optional, "is_available", lambda module: module != "tf2_ros")


class Robot:
    """A node with extrinsics, and a publisher of transforms beside it."""

    def __init__(self, ros_node, config):
        self.node, self._other = ros_node(), ros_node()
        self.poses = []
        self.extrinsics = Extrinsics(self.node, config, self.poses.append)
        self._static = self._other.create_publisher(TransformStamped, "/tf_static", LATCHED)
        self._executor = SingleThreadedExecutor(context=self.node.context)
        self._executor.add_node(self.node)

    def send(self, child="camera", x=1.5, parent="base_link"):
        message = TransformStamped(child_frame_id=child)
        message.header.frame_id = parent
        message.transform.translation.x = x
        self._static.publish(message)

    def until(self, condition, seconds=5.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end
            self._executor.spin_once(timeout_sec=0.05)

    def listeners(self):
        topics = [one.topic_name for one in self.node.subscriptions]
        return topics.count("/tf"), topics.count("/tf_static")


@pytest.fixture
def robot(ros_node):
    def make(**options):
        made.append(Robot(ros_node, DepthNodeConfig(**options)))
        return made[-1]

    made = []
    yield make
    for one in made:
        one.extrinsics.close()


def test_without_tf2_the_parameter_is_used(robot, no_tf2):
    one = robot()
    one.extrinsics.look_for("camera")
    np.testing.assert_array_equal(one.poses, [DEFAULT])
    expected = "parameter base_to_camera base_link <- camera (tf2_ros is not installed)"
    assert one.extrinsics.source == expected
    assert one.extrinsics.missing == ""


def test_with_tf2_the_transform_is_used_however_late_it_comes(robot, tf2):
    one = robot()
    one.extrinsics.look_for("camera")
    end = time.monotonic() + 2.5
    one.until(lambda: time.monotonic() > end)
    assert one.poses == [None] and one.extrinsics.T_base_camera is None
    assert "no transform base_link <- camera on /tf" in one.extrinsics.missing
    one.send("other")
    one.send("camera")
    one.until(lambda: one.extrinsics.T_base_camera is not None)
    expected = pose_to_matrix((1.5, 0, 0, 0, 0, 0, 1))
    np.testing.assert_array_equal(one.poses[1], expected)
    assert (one.extrinsics.source, one.extrinsics.missing) == ("tf base_link <- camera", "")


def test_a_slash_before_the_camera_frame_hides_no_transform(robot, tf2):
    one = robot(base_frame="/base_link")
    one.extrinsics.look_for("/camera")
    one.send("camera")
    one.until(lambda: one.extrinsics.T_base_camera is not None)
    assert one.extrinsics.source == "tf base_link <- camera"


def test_a_chain_that_is_completed_later_is_composed(robot, tf2):
    one = robot()
    one.extrinsics.look_for("camera")
    one.send("camera", x=0.5, parent="mast")  # another tree, for now
    end = time.monotonic() + 0.6
    one.until(lambda: time.monotonic() > end)
    assert one.extrinsics.T_base_camera is None and one.extrinsics.missing
    one.send("mast", x=1.0)
    one.until(lambda: one.extrinsics.T_base_camera is not None)
    np.testing.assert_allclose(one.extrinsics.T_base_camera[:3, 3], [1.5, 0, 0])


def test_one_listener_which_is_closed_when_the_transform_is_found(robot, tf2):
    one = robot()
    assert one.listeners() == (0, 0)
    for _ in range(3):
        one.extrinsics.look_for("camera")
        assert one.listeners() == (1, 1)
    one.send()
    one.until(lambda: one.extrinsics.source)
    assert one.listeners() == (0, 0)
    assert list(one.node.timers) == []
    one.extrinsics.look_for("camera")  # known
    assert one.listeners() == (0, 0)
    for _ in range(3):  # configured and cleaned up again, before anything is found
        one.extrinsics.look_for("unknown")
        one.extrinsics.close()
    assert one.listeners() == (0, 0)


def test_a_mounting_that_was_set_is_used_until_tf_knows_better(robot, tf2, caplog):
    given = (0.3, 0.0, 1.0, -0.5, 0.5, -0.5, 0.5)
    one = robot(base_to_camera=given)
    one.extrinsics.look_for("camera")
    np.testing.assert_array_equal(one.poses, [pose_to_matrix(given)])
    assert "until TF has the transform" in one.extrinsics.source
    one.send()
    one.until(lambda: one.extrinsics.source.startswith("tf "))
    assert len(one.poses) == 2
    assert "TF base_link <- camera differs from base_to_camera" in caplog.text


def test_a_camera_without_a_frame_uses_the_parameter(robot, tf2):
    one = robot()
    one.extrinsics.look_for("")
    np.testing.assert_array_equal(one.poses, [DEFAULT])
    assert "camera_info has no frame_id" in one.extrinsics.source
