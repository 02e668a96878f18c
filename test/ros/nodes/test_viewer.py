# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""sfm-depth view as a process beside depth_node: what it shows, and what it costs when unseen."""

from __future__ import annotations

import http.client
import json
import re
import time
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from diagnostic_msgs.msg import DiagnosticArray
from headless_browser import Browser
from sensor_msgs.msg import CompressedImage, Image

from sfm_depth_ros.camera.image_codec import decode_depth
from sfm_depth_ros.estimation.depth_views import depth_to_color
from sfm_depth_ros.report.live_state import WATCHED_S


@pytest.fixture(scope="module")
def node(start_node, tiny_model, tmp_path_factory):
    models = tmp_path_factory.mktemp("models_dir")
    return start_node("depth_node", model=tiny_model.path, models_dir=models, engine="onnxruntime")


@pytest.fixture(scope="module")
def address(start_node, probe):
    view = start_node("view", options=("--port", "0"))
    probe.until(lambda: "http://" in view.text)
    return re.search(r"http://\S+", view.text)[0]


@pytest.fixture(scope="module")
def sent(probe, namespace):
    """Facts of every diagnostics that depth_node has sent."""
    seen = []

    def take(message):
        for status in message.status:
            if status.name == f"{namespace.lstrip('/')}/depth_node":
                seen.append({value.key: value.value for value in status.values})

    probe.node.create_subscription(DiagnosticArray, "/diagnostics", take, 10)
    return seen


def _get(address, path):
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    connection.request("GET", path)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply.status, content


def test_unseen_it_subscribes_to_no_image(node, address, probe, camera):
    probe.until(lambda: camera.shoot() and probe.facts.get("state") == "active")
    probe.until(lambda: camera.images.get_subscription_count() > 0)
    probe.during(1.5)
    assert camera.images.get_subscription_count() == 1  # depth_node's
    assert probe.node.count_subscribers(probe.node.resolve_topic_name("depth/confidence")) == 0


def test_seen_it_serves_pictures_and_the_facts(node, address, probe, camera, sent):
    depths = probe.collect(Image, "depth/image_rect")

    def is_shown():
        camera.shoot()
        pictures = json.loads(_get(address, "/state?viewer=a")[1])["pictures"]
        return {"image", "depth", "confidence"} <= set(pictures)

    probe.until(is_shown)
    assert camera.images.get_subscription_count() == 2
    probe.during(1.5)  # what was shot last is there, on both sides
    shown = {name: _get(address, f"/picture/{name}") for name in ("image", "depth", "confidence")}
    assert {status for status, _ in shown.values()} == {200}
    pictures = {
        name: cv2.imdecode(np.frombuffer(data, np.uint8), 1)[..., ::-1].astype(int)
        for name, (_, data) in shown.items()
    }
    assert pictures["image"].shape == (64, 192, 3)
    last = depths[-1]
    depth = decode_depth(last.encoding, last.data, last.height, last.width, last.step)
    assert np.abs(pictures["depth"] - depth_to_color(depth)).mean() < 12  # JPEG
    facts = json.loads(_get(address, "/state?viewer=a")[1])["nodes"]["depth"]["facts"]
    assert facts in sent


def test_two_browsers_show_what_the_diagnostics_have(node, address, probe, camera, sent, tmp_path):
    browsers = [Browser(tmp_path / name) for name in ("one", "two")]
    try:
        for browser in browsers:
            browser.open(address)
        for _ in range(40):
            camera.shoot()
            probe.during(0.05)
        for browser in browsers:
            browser.until("document.querySelectorAll('[data-fact]').length > 20")
            browser.until("[...document.images].every(image => image.naturalWidth > 0)")
            cells = browser.value(
                "Object.fromEntries([...document.querySelectorAll(\"[data-fact^='depth/']\")]"
                ".map(cell => [cell.dataset.fact.slice(6), cell.textContent]))"
            )
            probe.during(0.3)
            assert cells in sent
            assert browser.errors == []
            elsewhere = {u for u in browser.requested if not u.startswith((address, "data:"))}
            assert elsewhere <= {"about:blank"}
        state = json.loads(_get(address, "/state")[1])
        assert state["viewers"] >= 2
        browsers[0].picture(tmp_path / "view.png")
    finally:
        for browser in browsers:
            browser.close()


def test_when_everybody_has_left_it_stops_listening(node, address, probe, camera):
    end = time.monotonic() + WATCHED_S + 5.0
    probe.until(
        lambda: camera.shoot() and camera.images.get_subscription_count() == 1,
        seconds=end - time.monotonic(),
    )


def test_a_compressed_camera_is_found_by_its_topic(start_node, probe):
    view = start_node("view", options=("--port", "0"), remaps=("image:=packed",))
    probe.until(lambda: "http://" in view.text)
    address = re.search(r"http://\S+", view.text)[0]
    publisher = probe.node.create_publisher(CompressedImage, "packed", 10)
    _, data = cv2.imencode(".png", np.full((8, 12, 3), (10, 20, 30), np.uint8))
    message = CompressedImage(format="png", data=data.tobytes())

    def is_shown():
        publisher.publish(message)
        return "image" in json.loads(_get(address, "/state?viewer=a")[1])["pictures"]

    probe.until(is_shown)
    picture = cv2.imdecode(np.frombuffer(_get(address, "/picture/image")[1], np.uint8), 1)
    assert picture.shape == (8, 12, 3)
    assert picture[4, 4].tolist() == pytest.approx([10, 20, 30], abs=4)


def test_a_port_in_use_is_one_line(start_node, address):
    other = start_node("view", options=("--port", address.rstrip("/").rpartition(":")[2]))
    assert other.process.wait(timeout=20) == 1
    assert "--port" in other.text
    assert "Traceback" not in other.text
