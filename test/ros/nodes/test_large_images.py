# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of 4K cameras, 25 MB each, from a driver with DDS as it comes: carried, or named."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from sensor_msgs.msg import CameraInfo, Image

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.ros import conversions
from sfm_depth_ros.share import share_path

COUNT = 10
SIZES = {"4K": (3840, 2160), "1440p": (2560, 1440)}
RECEIVE_BUFFER = Path("/proc/sys/net/core/rmem_max")


@pytest.fixture
def profile(monkeypatch, probe):
    """What the launch files set, for the nodes that are started now; the driver has defaults."""
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        monkeypatch.setenv(name, str(share_path("config/fastdds.xml")))


@pytest.mark.parametrize("name", SIZES)
def test_they_arrive_or_the_remedy_is_named(
    profile, start_node, probe, tiny_model, tmp_path, name
):
    width, height = SIZES[name]
    topic = f"camera_{name}"
    node = start_node(
        "depth_node", [f"image:={topic}", f"camera_info:={topic}_info", f"__node:=of_{name}"],
        model=tiny_model.path, models_dir=tmp_path / "models", engine="onnxruntime",
    )  # fmt: skip
    images = probe.node.create_publisher(Image, topic, 5)
    infos = probe.node.create_publisher(CameraInfo, f"{topic}_info", 5)
    intrinsics = Intrinsics.from_hfov(80.0, width, height)
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    probe.until(lambda: images.get_subscription_count() > 0, 40)

    def shoot():
        header = conversions.header_at(time.time_ns(), "camera_optical")
        infos.publish(conversions.intrinsics_to_camera_info(intrinsics, header))
        images.publish(conversions.array_to_image(pixels, "rgb8", header))

    end = time.monotonic() + 40
    while "lost parts are sent again" not in node.text and time.monotonic() < end:
        if int(probe.facts.get("received", 0)) >= COUNT:
            break  # they arrive as it is
        shoot()
        probe.during(1.0)
    before = probe.fresh_facts()["received"]
    for _ in range(COUNT):
        shoot()
        probe.during(0.5)
    probe.during(3.0)
    received = int(probe.fresh_facts()["received"]) - int(before)
    assert node.process.poll() is None and "Traceback" not in node.text
    if int(RECEIVE_BUFFER.read_text()) >= 4_000_000:
        # 10 of 10 in most runs; 2 and 5 were seen, with Fast DDS 2 and 3 alike.
        assert received >= 1
    else:
        named = probe.message + probe.facts["input_faults"]
        assert received >= COUNT - 2 or "image_transport: compressed" in named
    assert node.interrupt()[0] == 0
