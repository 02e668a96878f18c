# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""doctor --live on a graph with planted faults, and on one without."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from geometry_msgs.msg import TransformStamped, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sfm_depth_ros.ros.conversions import header_at, ns_to_stamp

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Graph:
    """A robot's publishers at 20 Hz, stamped with the present time, on topics of its own."""

    def __init__(self, probe, camera, name):
        self.probe, self.camera = probe, camera
        self.prefix = f"{probe.namespace}/{name}"
        self.closed, self.extra = [], []
        self.images = self.publisher(Image, "image")
        self.infos = self.publisher(CameraInfo, "camera_info")
        self.odometry = self.publisher(Odometry, "odom")
        self.transforms = self.publisher(TransformStamped, "/tf_static", LATCHED)
        self.offset_ns = 0

    def publisher(self, kind, topic, qos=10):
        name = topic if topic.startswith("/") else f"{self.prefix}/{topic}"
        made = self.probe.node.create_publisher(kind, name, qos)
        self.closed.append(made)
        return made

    def place_camera(self):
        message = TransformStamped(child_frame_id="camera_optical")
        message.header.frame_id = "base_link"
        rotation = message.transform.rotation
        rotation.x = rotation.z = -0.5
        rotation.y = rotation.w = 0.5
        self.transforms.publish(message)

    def shoot(self):
        now = time.time_ns() + self.offset_ns
        self.camera.step()
        image, info = self.camera.image(), self.camera.info()
        odometry = Odometry(header=header_at(now, "odom"), child_frame_id="base_link")
        image.header.stamp = info.header.stamp = ns_to_stamp(now)
        odometry.twist.twist.linear.x = 1.0
        for publisher, message in (
            (self.images, image), (self.infos, info), (self.odometry, odometry), *self.extra
        ):  # fmt: skip
            publisher.publish(message)

    def doctor(self, *words):
        """Run the command while the robot is on; (exit status, text)."""
        command = [sys.executable, "-m", "sfm_depth_ros.cli.main", "doctor", "--live"]
        topics = ["image", "camera-info", "odom"]
        for topic in topics:
            command += [f"--{topic}", f"{self.prefix}/{topic.replace('-', '_')}"]
        process = subprocess.Popen(
            [*command, "--seconds", "3", *words], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        while process.poll() is None:
            self.shoot()
            self.probe.during(0.05)
        return process.returncode, process.stdout.read()

    def close(self):
        for publisher in self.closed:
            self.probe.node.destroy_publisher(publisher)


@pytest.fixture
def graph(probe, camera, request):
    made = Graph(probe, camera, request.node.name.split("[")[0][-20:])
    made.place_camera()
    yield made
    made.close()


def test_nothing_to_mend_on_a_right_set_up(graph):
    status, text = graph.doctor()
    assert (status, text.splitlines()[-1]) == (0, "nothing to mend"), text
    assert text.count("ok  ") == 3


def test_faults_of_the_graph(graph, probe):
    second = graph.publisher(Image, "image")
    strict = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    viewer = probe.node.create_subscription(
        CameraInfo, graph.infos.topic_name, lambda message: None, strict
    )
    status, text = graph.doctor()
    probe.node.destroy_subscription(viewer)
    assert status == 1 and second.topic_name == graph.images.topic_name
    assert "has 2 publishers" in text and "their messages alternate" in text
    assert "their durability does not match" in text
    assert text.splitlines()[-1] == "2 to mend", text


def test_types_and_silence(graph, probe):
    for publisher in (graph.images, graph.odometry):
        probe.node.destroy_publisher(publisher)
        graph.closed.remove(publisher)
    compressed = graph.publisher(CompressedImage, "image")
    twist = graph.publisher(TwistStamped, "speed")
    graph.images, graph.odometry = compressed, twist
    graph.shoot = lambda: graph.infos.publish(graph.camera.info())
    status, text = graph.doctor()
    assert status == 1
    assert "has a publisher" in text and "no message came in 3 s" in text
    assert "remap odom to it" in text and "/speed" in text  # the velocity is elsewhere


def test_a_clock_that_is_away_and_one_that_is_not_used(graph, start_node, tiny_model, tmp_path):
    start_node("depth_node", model=tiny_model.path, models_dir=tmp_path)
    graph.offset_ns = -90 * 10**9
    status, text = graph.doctor()
    assert status == 1
    assert "are 90.0 s behind this machine's clock" in text
    clock = graph.publisher(Clock, "/clock")
    graph.extra = [(clock, Clock(clock=ns_to_stamp(time.time_ns())))]
    _, text = graph.doctor()
    assert "/clock is published, but" in text and "use_sim_time false" in text
    assert "behind this machine's clock" not in text


def test_a_best_effort_publisher_and_a_reliable_viewer(graph, probe):
    probe.node.destroy_publisher(graph.images)
    graph.closed.remove(graph.images)
    sensor = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    graph.images = graph.publisher(Image, "image", sensor)
    viewer = probe.node.create_subscription(
        Image, graph.images.topic_name, lambda message: None, 1
    )
    _, text = graph.doctor()
    probe.node.destroy_subscription(viewer)
    assert "their reliability does not match" in text
