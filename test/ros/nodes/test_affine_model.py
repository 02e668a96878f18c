# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""depth_node with an imported Depth Anything V2 Small: landmarks make its affine depth metric."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("torch")
pytest.importorskip("rosbags", reason="rosbags is not installed")
pytestmark = [pytest.mark.ros, pytest.mark.slow]

from affine_model import import_affine_model
from exact_drive import make_drive, write_bag
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image

from sfm_depth_ros.model_folder.folder import read_model_folder
from sfm_depth_ros.ros.conversions import stamp_to_ns


@pytest.fixture(scope="module")
def drive():
    return make_drive(100, speed=6.0)


@pytest.fixture(scope="module")
def model(drive, tmp_path_factory):
    return read_model_folder(import_affine_model(tmp_path_factory.mktemp("models"), drive))


def test_depth_is_metric_and_motion_is_geometrys(start_node, model, drive, probe, tmp_path):
    bag = write_bag(tmp_path / "drive", drive, with_truth=False)
    images = probe.collect(Image, "depth/image_rect")
    motions = probe.collect(Odometry, "ego_motion/odom")
    start_node("depth_node", model=model.path, engine="onnxruntime", output_size="input")
    probe.until(lambda: "engine_depth" in probe.facts or "no image" in probe.message, 60.0)
    names = {"/camera/image_raw": "image", "/camera/camera_info": "camera_info", "/odom": "odom"}
    remaps = [f"{theirs}:={probe.namespace}/{ours}" for theirs, ours in names.items()]
    start_node("bag_player", remaps, options=[str(bag), "--wait-for", "1"])
    probe.until(lambda: len(images) > 60, 60.0)
    facts = probe.fresh_facts()
    assert "1/depth = " in facts["depth_correction"]
    assert facts["ego_motion_source"] != "network"
    assert "engine_pose" not in facts
    truths = {frame.stamp_ns: depth for frame, depth, _ in drive}
    ratios = []
    for message in images[40:]:  # four seconds after the first
        metres = np.frombuffer(message.data, np.float32).reshape(message.height, message.width)
        truth = truths[stamp_to_ns(message.header.stamp)]
        near = np.isfinite(truth) & (truth < 40) & np.isfinite(metres)
        ratios.append(np.median(metres[near] / truth[near]))
    assert np.median(ratios) == pytest.approx(1.0, abs=0.1)
    speed = np.median([message.twist.twist.linear.x for message in motions[20:]])
    assert speed == pytest.approx(6.0, rel=0.02)
