# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes as real processes, and a probe that talks to them over DDS."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

_numbers = itertools.count()


class NodeProcess:
    """One node in a process of its own; its output goes to a file."""

    def __init__(self, entry, log, arguments):
        self.log = log
        command = [sys.executable, "-m", "sfm_depth_ros.ros.main", entry, *arguments]
        path = os.pathsep.join(sys.path)
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, env=environment
            )

    @property
    def text(self):
        return self.log.read_text(errors="replace")

    def interrupt(self, number=signal.SIGINT):
        """Send a signal; (exit status, seconds until the exit)."""
        sent = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(timeout=20)
        return status, time.monotonic() - sent

    def end(self):
        if self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.interrupt()
        self.process.kill()
        self.process.wait()


class Probe:
    """A node in the test's process, in the namespace of the node under test."""

    def __init__(self, rclpy, context, namespace):
        from rclpy.executors import SingleThreadedExecutor

        self.namespace = namespace
        self.node = rclpy.create_node("probe", context=context, namespace=namespace)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self.facts, self.message, self._status_count = {}, "", 0
        from diagnostic_msgs.msg import DiagnosticArray

        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_status, 10)

    def collect(self, kind, topic, qos=10):
        """A list that fills with what is published."""
        seen = []
        self.node.create_subscription(kind, topic, seen.append, qos)
        return seen

    @contextlib.contextmanager
    def listening(self, kind, topic, qos=10):
        """The same for the length of a block; nobody listens afterwards."""
        seen = []
        subscription = self.node.create_subscription(kind, topic, seen.append, qos)
        yield seen
        self.node.destroy_subscription(subscription)

    def watch(self, topic):
        """The newest status of the namespace's nodes on a topic of diagnostics."""
        from diagnostic_msgs.msg import DiagnosticArray

        newest = SimpleNamespace(message="", facts={})

        def take(message):
            for status in message.status:
                if status.name.startswith(self.namespace.lstrip("/") + "/"):
                    newest.message = status.message
                    newest.facts = {value.key: value.value for value in status.values}

        self.node.create_subscription(DiagnosticArray, topic, take, 10)
        return newest

    def until(self, condition, seconds=20.0):
        """Spin until the condition holds; fail with the last diagnostics otherwise."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"{self.message} {self.facts}"
            self._executor.spin_once(timeout_sec=0.05)

    def during(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.05)

    def fresh_facts(self):
        """Facts that were gathered after this call."""
        count = self._status_count
        self.until(lambda: self._status_count > count + 1)
        return self.facts

    def call(self, kind, name, **fields):
        """Call a service and wait for its answer."""
        return self.caller(kind, name)(**fields)

    def caller(self, kind, name):
        """A function that calls a service and waits for its answer."""
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready)

        def call(**fields):
            future = client.call_async(kind.Request(**fields))
            self.until(future.done)
            return future.result()

        return call

    def close(self):
        self._executor.shutdown()
        self.node.destroy_node()

    def _on_status(self, message):
        for status in message.status:
            if status.name.startswith(self.namespace.lstrip("/") + "/"):
                self.facts = {value.key: value.value for value in status.values}
                self.message = status.message
                self._status_count += 1


class Camera:
    """A robot with a camera and a wheel odometer, made of messages."""

    def __init__(self, probe, image_topic="image", size=(192, 64)):
        from nav_msgs.msg import Odometry
        from sensor_msgs.msg import CameraInfo, Image

        self.width, self.height = size
        node = probe.node
        self.images = node.create_publisher(Image, image_topic, 10)
        self.infos = node.create_publisher(CameraInfo, "camera_info", 10)
        self.odometry = node.create_publisher(Odometry, "odom", 50)
        self._texture = np.random.default_rng(0).integers(0, 255, (64, 400, 3), np.uint8)
        self.stamp_ns = 1_700_000_000 * 10**9 + 123

    def step(self, seconds=0.1, speed=1.0):
        """Move on in time, and say how fast."""
        self.stamp_ns += round(seconds * 1e9)
        self.send_velocity(speed)

    def send_velocity(self, speed):
        from nav_msgs.msg import Odometry

        from sfm_depth_ros.ros.conversions import header_at

        message = Odometry(header=header_at(self.stamp_ns, "odom"), child_frame_id="base_link")
        message.twist.twist.linear.x = speed
        self.odometry.publish(message)

    def info(self, focal=100.0):
        from sfm_depth_ros.geometry.camera import Intrinsics
        from sfm_depth_ros.ros import conversions

        intrinsics = Intrinsics(100.0, 100.0, 95.5, 31.5, self.width, self.height)
        header = conversions.header_at(self.stamp_ns, "camera_optical")
        message = conversions.intrinsics_to_camera_info(intrinsics, header)
        message.k[0] = message.p[0] = focal
        return message

    def image(self, **changes):
        from sfm_depth_ros.ros import conversions

        shift = self.stamp_ns // 10**8 % 200
        pixels = self._texture[: self.height, shift : shift + self.width]
        header = conversions.header_at(self.stamp_ns, "camera_optical")
        message = conversions.array_to_image(pixels, "rgb8", header)
        for name, value in changes.items():
            setattr(message, name, value)
        return message

    def shoot(self, **changes):
        """Publish the next image with its calibration; the image."""
        self.step()
        image = self.image(**changes)
        self.infos.publish(self.info())
        self.images.publish(image)
        return image


@pytest.fixture(scope="module")
def ros_context():
    rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
    context = rclpy.Context()
    rclpy.init(context=context, args=[])
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture(scope="module")
def namespace():
    return f"/test_{os.getpid()}_{next(_numbers)}"


@pytest.fixture(scope="module")
def probe(ros_context, namespace):
    import rclpy

    made = Probe(rclpy, ros_context, namespace)
    yield made
    made.close()


@pytest.fixture(scope="module")
def start_node(tmp_path_factory, namespace):
    """Start nodes by name with parameters; all are ended after the module."""
    started = []

    def start(entry, remaps=(), options=(), **parameters):
        log = tmp_path_factory.mktemp("log") / f"{entry}.log"
        arguments = [*options, "--ros-args", "-r", f"__ns:={namespace}"]
        for remap in remaps:
            arguments += ["-r", remap]
        for name, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            arguments += ["-p", f"{name.replace('__', '.')}:={text}"]
        started.append(NodeProcess(entry, log, arguments))
        return started[-1]

    yield start
    for node in started:
        node.end()


@pytest.fixture(scope="module")
def camera(probe):
    return Camera(probe)


@pytest.fixture(scope="module")
def narrow_camera(probe):
    return Camera(probe, size=(80, 64))
