# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Raw images of 11 and 25 MB from a driver with DDS as it comes: carried, or named."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from sfm_depth_ros.share import share_path

SIZES = {"1440p": (2560, 1440), "4K": (3840, 2160)}
SECONDS = 10.0
RECEIVE_BUFFER = Path("/proc/sys/net/core/rmem_max")
PROFILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


@pytest.fixture
def start_driver(tmp_path, namespace):
    """Start a driver without any profile; the number of images that it has sent."""
    started = []

    def start(width, height):
        environment = {k: v for k, v in os.environ.items() if k not in PROFILES}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        script, log = Path(__file__).with_name("image_driver.py"), tmp_path / "sent"
        command = [sys.executable, script, namespace, str(width), str(height)]
        with log.open("wb") as file:
            started.append(subprocess.Popen(command, stdout=file, env=environment))
        return lambda: len(log.read_text().splitlines())

    yield start
    for driver in started:
        driver.kill()
        driver.wait()


@pytest.mark.parametrize("name", SIZES)
def test_they_arrive_or_the_remedy_is_named(
    monkeypatch, start_node, start_driver, probe, tiny_model, tmp_path, name
):
    for variable in PROFILES:  # what the launch files set, for the node
        monkeypatch.setenv(variable, str(share_path("config/fastdds.xml")))
    node = start_node(
        "depth_node", [f"__node:=of_{name}"], model=tiny_model.path, engine="onnxruntime",
        models_dir=tmp_path / "models",
    )  # fmt: skip
    width, height = SIZES[name]
    sent = start_driver(width, height)
    end = time.monotonic() + 40.0
    while time.monotonic() < end and int(probe.facts.get("received", 0)) < 5:
        if "lost parts are sent again" in node.text:
            break
        probe.during(0.5)
    received_before, sent_before = int(probe.fresh_facts()["received"]), sent()
    probe.during(SECONDS)
    sent_since = sent() - sent_before
    received = int(probe.fresh_facts()["received"]) - received_before
    assert node.process.poll() is None and "Traceback" not in node.text
    assert sent_since > 0.5 * SECONDS
    logging.getLogger(__name__).warning("%s: %d of %d", name, received, sent_since)
    named = probe.message + probe.facts["input_faults"]
    if int(RECEIVE_BUFFER.read_text()) >= 3 * width * height:  # the image fits
        assert received >= 0.9 * sent_since
    else:  # lost parts are sent again, as far as the driver still has them
        assert received >= 0.8 * sent_since or "image_transport: compressed" in named
    assert node.interrupt()[0] == 0
