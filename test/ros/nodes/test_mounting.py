# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Both nodes where tf2 is installed and the camera's transform comes late."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from geometry_msgs.msg import TransformStamped, TwistWithCovarianceStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MISSING = "no transform base_link <- camera_optical on /tf or /tf_static"


@pytest.fixture
def fake_tf2(monkeypatch):
    """The processes that are started now find the stand-in for tf2_ros first."""
    folder = Path(__file__).parents[1] / "fake_tf2"
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])


@pytest.mark.parametrize("entry", ["depth_node", "trainer_node"])
def test_no_ego_motion_in_a_wrong_frame(
    fake_tf2, start_node, probe, camera, tiny_model, tmp_path, entry
):
    node = start_node(entry, model=tiny_model.path, models_dir=tmp_path / "models")
    depths = probe.collect(Image, "depth/image_rect")
    motions = probe.collect(TwistWithCovarianceStamped, "ego_motion/twist")
    if entry == "trainer_node":
        statuses = probe.watch("training/status")
        probe.until(lambda: camera.shoot() and MISSING in statuses.message)
        assert statuses.facts["frames"] == "0"
    else:
        statuses = probe.watch("/diagnostics")
        probe.until(lambda: camera.shoot() and len(depths) > 5)
        probe.until(lambda: camera.shoot() and MISSING in statuses.message)
        assert statuses.message.startswith("publishing depth alone")
        assert (statuses.facts["mounting"], motions) == ("", [])
    assert (probe.node.count_subscribers("/tf"), MISSING in node.text) == (1, True)
    publisher = probe.node.create_publisher(TransformStamped, "/tf_static", LATCHED)
    transform = TransformStamped(child_frame_id="camera_optical")
    transform.header.frame_id = "base_link"
    transform.transform.rotation.x = transform.transform.rotation.z = 0.5
    transform.transform.rotation.y = transform.transform.rotation.w = 0.5
    publisher.publish(transform)
    expected = "tf base_link <- camera_optical"
    probe.until(lambda: camera.shoot() and statuses.facts["mounting"] == expected)
    if entry == "trainer_node":
        probe.until(lambda: camera.shoot() and int(statuses.facts["frames"]) > 3)
    else:
        probe.until(lambda: camera.shoot() and motions)
    assert probe.node.count_subscribers("/tf") == 0
    node.interrupt()
    probe.node.destroy_publisher(publisher)
