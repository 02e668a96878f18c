# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

import rclpy
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.ros import stream_faults
from sfm_depth_ros.ros.stream_faults import (
    CameraChanges,
    ImageFrames,
    LossShare,
    TwinWatch,
    VelocityFrames,
    clock_fault,
    feedback_fault,
    frame_fault,
    publisher_faults,
    require_distinct,
    stamp_fault,
    why_nothing_arrives,
)


def _wait_for(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_two_publishers_on_one_topic_are_named(ros_node):
    listener, one, two = ros_node(), ros_node(), ros_node()
    first = one.create_publisher(Image, "shared_image", 1)
    _wait_for(lambda: listener.count_publishers("shared_image") == 1)
    assert publisher_faults(listener, ["/shared_image"]) == []
    second = two.create_publisher(Image, "shared_image", 1)
    _wait_for(lambda: listener.count_publishers("shared_image") == 2)
    (fault,) = publisher_faults(listener, ["/shared_image", "/nobody"])
    assert fault.startswith("2 publishers on /shared_image (/")
    assert one.get_name() in fault and two.get_name() in fault
    assert (first.topic_name, second.topic_name) == ("/shared_image", "/shared_image")


def test_a_second_node_of_the_name_is_named_once_it_stays(ros_node, monkeypatch):
    node = ros_node()
    watch = TwinWatch(node)
    assert watch.fault() == ""
    twin = rclpy.create_node(node.get_name(), context=node.context)
    names = node.get_node_names_and_namespaces
    _wait_for(lambda: names().count((node.get_name(), "/")) == 2)
    assert watch.fault() == ""  # it may have been killed just now
    monkeypatch.setattr(stream_faults, "TWIN_S", 0.0)
    assert watch.fault().startswith(f"2 nodes are named /{node.get_name()}: ")
    twin.destroy_node()
    _wait_for(lambda: watch.fault() == "")


def test_inputs_of_one_topic_are_refused(ros_node):
    node = ros_node()
    require_distinct(node, "image", "camera_info", "odom")
    with pytest.raises(ConfigError, match="image and /image are both /image: remap each"):
        require_distinct(node, "image", "odom", "/image")


def test_an_own_output_as_an_input_is_named(ros_node):
    node, other = ros_node(), ros_node()
    node.create_publisher(Image, "depth/color", 1)
    other.create_publisher(Image, "camera", 1)
    other.create_publisher(Odometry, "robot/ego_motion/odom", 1)
    _wait_for(lambda: node.count_publishers("/robot/ego_motion/odom") == 1)
    _wait_for(lambda: node.count_publishers("/camera") == 1)
    for topic in ("/depth/color", "/robot/ego_motion/odom"):
        assert feedback_fault(node, topic).startswith(f"{topic} is an output of depth_node")
    for topic in ("/camera", "/nobody/ego_motion/odom"):
        assert feedback_fault(node, topic) == ""


def test_frames_of_velocities_are_remarked_once_each(caplog):
    frames = VelocityFrames("base_link")
    for frame in ("", "base_link", "base_link"):
        frames.take(frame)
    assert frames.remark == ""
    for frame in ("imu_link", "imu_link", "axle"):
        frames.take(frame)
    assert frames.remark.startswith("velocities are given in axle, imu_link and taken as if")
    assert "base_frame (base_link)" in frames.remark
    assert len(caplog.messages) == 2
    assert frames.fault("camera_optical") == frames.fault("base_link") == frames.fault(None) == ""
    assert "axle, the camera's frame, whose z looks ahead: publish" in frames.fault("axle")
    for number in range(1000):  # a frame with a number in its name fills nothing
        frames.take(f"frame_{number}")
    assert len(caplog.messages) < 10


def test_two_clocks_are_named():
    assert clock_fault(200 * 10**9, 100 * 10**9).startswith("images are stamped 100.0 s after")
    assert clock_fault(10**9, int(2.5e9)).startswith("images are stamped 1.5 s before")
    for image, velocity in ((None, 1), (1, None), (0, 10**18), (10**9, int(1.9e9))):
        assert clock_fault(image, velocity) == ""


def test_images_without_a_stamp_are_named():
    assert "header.stamp" in stamp_fault(0)
    assert stamp_fault(None) == stamp_fault(1) == ""


@pytest.mark.parametrize(
    ("image", "camera", "words"),
    [
        ("optical", "optical", ""),
        (None, "optical", ""),
        ("optical", None, ""),
        ("", "", "empty frame_id"),
        ("", "optical", "empty frame_id"),
        ("left", "right", "images are in frame 'left' and camera_info in 'right'"),
    ],
)
def test_frames_that_do_not_belong_together_are_named(image, camera, words):
    fault = frame_fault(image, camera)
    assert words in fault and bool(fault) == bool(words)


def test_losses_count_over_the_newest_seconds_only(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(stream_faults.time, "monotonic", lambda: now[0])
    share = LossShare()
    assert share.fault(0, 0, "/image") == ""
    now[0] = 105.0
    assert share.fault(60, 40, "/image").startswith("40 of 100 images on /image were lost")
    now[0] = 114.0  # the start has left the window
    assert share.fault(160, 42, "/image") == ""
    assert share.fault(165, 45, "/image") == ""  # 5 of 110


def test_nothing_from_a_publisher_that_is_there():
    class Publisher:
        node_name = "camera_driver"

    assert why_nothing_arrives([Publisher], 1.0, is_image=True) == " yet"
    assert "camera_driver" in why_nothing_arrives([Publisher], 5.0, is_image=False)
    hint = why_nothing_arrives([Publisher], 5.0, is_image=True)
    assert "too large" in hint and "image_transport: compressed" in hint


def _camera(frame="left", size=(64, 32), focal=100.0):
    K = [focal, 0, 31.5, 0, focal, 15.5, 0, 0, 1]
    return CameraModel.from_matrices(K, *size, frame_id=frame)


@pytest.fixture
def at(monkeypatch):
    """Set the clock."""

    def set_clock(seconds):
        monkeypatch.setattr(time, "monotonic", lambda: seconds)

    return set_clock


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"frame": "right"}, "frames 'left' and 'right'"),
        ({"size": (128, 64)}, "images of 64x32 and 128x64"),
        ({"focal": 150.0}, "lenses of 100 and 150 pixels focal length"),
    ],
)
def test_cameras_that_alternate_are_followed_three_times(at, other, words):
    cameras, pair = CameraChanges(), (_camera(), _camera(**other))
    followed = []
    for index in range(60):
        at(0.1 * index)
        cameras.take(pair[index % 2])
        if cameras.settled is not None:
            followed.append(index)
    assert followed == [0, 1, 2, 3]
    assert f"alternates between {words} (59 changes in 10 s)" in cameras.fault
    at(15.5)
    assert cameras.settled is None
    at(15.65)  # three changes in the ten seconds before
    assert (cameras.settled, cameras.fault) == (pair[1], "")


def test_a_driver_that_switches_once_and_focuses_is_followed(at):
    cameras = CameraChanges()
    for index in range(100):
        at(0.1 * index)
        camera = _camera(focal=100.0 + 0.1 * (index % 7), frame="a" if index < 50 else "b")
        cameras.take(camera)
        assert (cameras.settled, cameras.fault) == (camera, "")


def test_frames_of_images_that_alternate_are_named(at):
    frames = ImageFrames()
    for index in range(8):
        at(0.1 * index)
        frames.take(f"camera_{index % 2}")
    assert "between frames 'camera_0' and 'camera_1' (7 changes in 10 s)" in frames.fault("camera")
    at(10.5)
    assert "images are in frame 'camera_1' and camera_info in 'camera'" in frames.fault("camera")
    assert frames.fault("camera_1") == ImageFrames().fault("camera") == ""
