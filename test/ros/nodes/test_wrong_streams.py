# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Streams that are wrong as a whole: named by the running node, with the remedy."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from nav_msgs.msg import Odometry
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from sfm_depth_ros.ros.conversions import header_at

_MOTION = ("odometer", "base_to_camera", "twist.twist", "optical frame")
UPSIDE_DOWN = "[0.0, 0.0, 1.0, 0.5, 0.5, 0.5, 0.5]"


@pytest.fixture(scope="module")
def node(start_node, tiny_model, tmp_path_factory):
    return start_node(
        "depth_node", model=tiny_model.path, engine="onnxruntime",
        models_dir=tmp_path_factory.mktemp("models"),
    )  # fmt: skip


def _set(probe, name, value):
    parameters = [Parameter(name, value=value).to_parameter_msg()]
    service = f"{probe.namespace}/depth_node/set_parameters"
    (result,) = probe.call(SetParameters, service, parameters=parameters).results
    assert result.successful, result.reason


def _faults(probe):
    """Faults of streams and images; this robot's odometer contradicts its images."""
    texts = probe.facts.get("input_faults", "").split("; ")
    return "; ".join(text for text in texts if not any(word in text for word in _MOTION))


def _mounting_faults(probe):
    return probe.facts.get("input_faults", "")


def test_a_right_set_up_has_no_fault(node, probe, camera):
    probe.until(lambda: camera.shoot() and int(probe.facts.get("published", 0)) > 10)
    assert (_faults(probe), probe.message[:10]) == ("", "publishing")


def test_images_in_another_frame_than_the_calibration(node, probe, camera):
    def shoot(frame):
        camera.step()
        image = camera.image()
        image.header.frame_id = frame
        camera.images.publish(image)
        return True

    probe.until(lambda: shoot("somewhere_else") and "'somewhere_else'" in _faults(probe))
    assert probe.message.startswith("publishing, but images are in frame 'somewhere_else'")
    probe.until(lambda: shoot("") and "empty frame_id" in _faults(probe))
    probe.until(lambda: camera.shoot() and _faults(probe) == "")


def test_one_driver_with_two_cameras(node, probe, camera):
    loads = node.text.count(" serves, engines")

    def shoot():
        camera.step()
        info, image = camera.info(), camera.image()
        info.header.frame_id = image.header.frame_id = f"eye_{camera.stamp_ns // 10**8 % 2}"
        camera.infos.publish(info)
        camera.images.publish(image)
        return True

    probe.until(lambda: shoot() and "camera_info alternates between frames" in _faults(probe))
    published = int(probe.facts["published"])
    probe.until(lambda: shoot() and int(probe.facts["published"]) > published + 20)
    assert node.text.count(" serves, engines") <= loads + 3
    assert "is not followed" in probe.message
    probe.until(lambda: camera.shoot() and _faults(probe) == "", seconds=40)


def test_two_cameras_on_one_topic(node, probe, camera):
    second = probe.node.create_publisher(Image, "image", 10)
    probe.until(lambda: camera.shoot() and "2 publishers on" in _faults(probe))
    probe.node.destroy_publisher(second)
    probe.until(lambda: camera.shoot() and _faults(probe) == "")


def test_twelve_bits_are_named_and_white_level_is_live(node, probe, camera):
    def shoot():
        camera.step()
        grey = np.full((64, 192), 2000, "<u2")  # half of 4095, 3 % of 65535
        image = camera.image(encoding="mono16", step=2 * 192, data=grey.tobytes())
        camera.images.publish(image)
        return True

    probe.until(lambda: shoot() and "nearly black" in _faults(probe))
    assert "white_level" in _faults(probe)
    _set(probe, "white_level", 4095)
    probe.until(lambda: shoot() and _faults(probe) == "")
    _set(probe, "white_level", 65535)


def test_max_pixels_is_live_and_bounds_images_and_calibrations(node, probe, camera):
    before = int(probe.fresh_facts()["failed"])
    _set(probe, "max_pixels", 192 * 64 - 1)
    probe.until(lambda: camera.shoot() and "max_pixels" in probe.message)
    probe.until(lambda: camera.shoot() and int(probe.facts["failed"]) > before)
    assert int(probe.fresh_facts()["errors.camera_info"]) > 0
    _set(probe, "max_pixels", 192 * 64)
    published = int(probe.fresh_facts()["published"])
    probe.until(lambda: camera.shoot() and int(probe.facts["published"]) > published + 2)


def test_autofocus_keeps_engine_and_tracks(node, probe, camera):
    probe.until(lambda: camera.shoot() and _faults(probe) == "")
    loads = node.text.count(" serves, engines")
    for index in range(100):  # 0.1 % an image
        camera.step()
        camera.infos.publish(camera.info(focal=100.0 + 0.1 * (index % 7)))
        camera.images.publish(camera.image())
        probe.during(0.03)
    assert node.text.count(" serves, engines") == loads
    assert int(probe.fresh_facts()["tracks"]) >= 0
    assert "other intrinsics" not in probe.facts["remarks"]


def test_an_upside_down_camera_is_named(start_node, probe, camera, tiny_model, tmp_path):
    node = start_node(
        "depth_node", ["__node:=hanging"], model=tiny_model.path, models_dir=tmp_path,
        base_to_camera=UPSIDE_DOWN,
    )  # fmt: skip
    probe.until(lambda: camera.shoot() and "mounted upside down" in _mounting_faults(probe))
    assert "mounted upside down" in node.text
    node.interrupt()


def test_a_twist_that_is_never_filled_is_named(node, probe, camera):
    def drive():
        camera.stamp_ns += 10**8
        message = Odometry(header=header_at(camera.stamp_ns, "odom"), child_frame_id="base_link")
        message.pose.pose.position.x = camera.stamp_ns % 10**12 * 1e-9  # 1 m/s
        camera.odometry.publish(message)
        camera.infos.publish(camera.info())
        camera.images.publish(camera.image())
        return True

    probe.until(lambda: drive() and "while its twist stayed zero" in probe.facts["input_faults"])
    probe.until(lambda: camera.shoot() and "stayed zero" not in probe.facts["input_faults"])
