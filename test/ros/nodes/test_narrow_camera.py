# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Both nodes with a camera that has fewer columns than the model's images."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from sensor_msgs.msg import Image

REMARK = "64 columns wide instead of the model's 96"


def test_it_is_taken_at_its_own_width(start_node, probe, narrow_camera, tiny_model, tmp_path):
    depth_node = start_node(
        "depth_node", model=tiny_model.path, models_dir=tmp_path / "models", engine="onnxruntime"
    )
    trainer = start_node("trainer_node", model=tiny_model.path, models_dir=tmp_path / "models")
    camera = narrow_camera
    depths = probe.collect(Image, "depth/image_rect")
    depth_facts, training = probe.watch("/diagnostics"), probe.watch("training/status")
    probe.until(
        lambda: camera.shoot() and depths and REMARK in depth_facts.facts.get("remarks", ""), 40
    )
    assert (depths[-1].width, depths[-1].height) == (64, 64)  # 51 rows, padded to a multiple
    assert depth_facts.facts["input_size"] == "64x64"
    assert depth_facts.facts["reason"] == ""
    probe.until(lambda: camera.shoot() and REMARK in training.facts.get("remarks", ""), 40)
    assert (depth_node.text.count(REMARK), trainer.text.count(REMARK)) == (1, 1)
