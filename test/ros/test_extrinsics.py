# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.ros.extrinsics import Extrinsics

POSE = DepthNodeConfig().base_to_camera
FAKE_TF2 = """
class Buffer:
    def lookup_transform(self, target, source, time, timeout):
        from geometry_msgs.msg import TransformStamped
        if source != 'camera':
            raise LookupError(source + ' is unknown')
        found = TransformStamped()
        found.transform.translation.x = 1.5
        found.transform.rotation.w = 1.0
        return found
class TransformListener:
    def __init__(self, buffer, node): pass
"""


@pytest.fixture
def tf2(monkeypatch, tmp_path):
    (tmp_path / "tf2_ros.py").write_text(FAKE_TF2)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("tf2_ros", None)


def test_without_tf2_the_parameter_is_used(ros_node):
    extrinsics = Extrinsics(ros_node(), "base_link", POSE)
    assert extrinsics.base_to_camera("camera") == POSE
    assert extrinsics.source == "parameter"


def test_with_tf2_the_transform_is_used(ros_node, tf2):
    extrinsics = Extrinsics(ros_node(), "base_link", POSE)
    assert extrinsics.base_to_camera("camera") == (1.5, 0, 0, 0, 0, 0, 1)
    assert extrinsics.source == "tf"


def test_a_missing_transform_falls_back_and_is_said(ros_node, tf2, caplog):
    extrinsics = Extrinsics(ros_node(), "base_link", POSE)
    assert extrinsics.base_to_camera("other") == POSE
    assert "no transform" in extrinsics.source
    assert "base_to_camera is used instead" in caplog.text
