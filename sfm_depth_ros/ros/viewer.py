# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Viewer behind ``sfm-depth view``: both nodes' topics on a page that this computer serves.

Images are subscribed to only while somebody looks, and decoded only when a browser fetches one.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from sfm_depth_ros.camera.image_codec import decode_depth
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.estimation.depth_views import (
    BAR_DEPTHS,
    confidence_to_color,
    depth_bar,
    depth_to_color,
)
from sfm_depth_ros.messages import serialised_stamp
from sfm_depth_ros.report.live_page import PORT, ColourBar
from sfm_depth_ros.report.live_server import LiveServer
from sfm_depth_ros.report.live_state import LiveState
from sfm_depth_ros.report.pictures import bar_source
from sfm_depth_ros.ros import qos
from sfm_depth_ros.ros.conversions import image_to_rgb
from sfm_depth_ros.ros.start import init_ros, own_arguments

WATCH_S = 0.5  # seconds between two looks at whether somebody looks
POSE_NS = 100_000_000  # between two positions of the path that are unpacked
COMPRESSED = "sensor_msgs/msg/CompressedImage"


class Viewer(Node):
    """Feeds the state of the page."""

    def __init__(self, state: LiveState) -> None:
        super().__init__("view")
        self._state = state
        self._pose_ns = 0
        self._streams: dict[str, Subscription] = {}
        small = qos.small_input()
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.create_subscription(DiagnosticArray, "training/status", self._on_training, 10)
        self.create_subscription(Odometry, "ego_motion/odom", self._on_pose, small, raw=True)
        self.create_timer(WATCH_S, self._watch)

    def _watch(self) -> None:
        """Listen to images while there is a viewer."""
        if self._state.viewers > 0:
            self._listen()
            return
        for stream in self._streams.values():
            self.destroy_subscription(stream)
        self._streams = {}

    def _listen(self) -> None:
        """Subscribe to what is not subscribed to yet; to the camera once its type is known."""
        camera = self.resolve_topic_name("image")
        found = dict(self.get_topic_names_and_types()).get(camera, [])
        kinds: dict[str, tuple[str, Any, Callable[[Any], np.ndarray]]] = {
            "depth": ("depth/image_rect", Image, _depth_colours),
            "confidence": ("depth/confidence", Image, _confidence_colours),
        }
        if found:
            kind = CompressedImage if COMPRESSED in found else Image
            kinds["image"] = ("image", kind, image_to_rgb)
        for name, (topic, kind, draw) in kinds.items():
            if name not in self._streams:
                offer = partial(self._offer, name, kind, draw)
                self._streams[name] = self.create_subscription(
                    kind, topic, offer, qos.image_input(), raw=True
                )

    def _offer(self, name: str, kind: Any, draw: Callable[[Any], np.ndarray], data: bytes) -> None:
        self._state.put(name, lambda: draw(deserialize_message(data, kind)))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        wanted = f"{self.get_namespace().strip('/')}/depth_node".lstrip("/")
        for status in message.status:
            if status.name == wanted:
                self._add("depth", status)

    def _on_training(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._add("training", status)

    def _add(self, node: str, status: Any) -> None:
        level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
        facts = {pair.key: pair.value for pair in status.values}
        self._state.add_facts(node, status.message, level, facts)

    def _on_pose(self, data: bytes) -> None:
        stamp_ns = serialised_stamp(data)
        if abs(stamp_ns - self._pose_ns) < POSE_NS:
            return
        self._pose_ns = stamp_ns
        position = deserialize_message(data, Odometry).pose.pose.position
        self._state.add_pose(position.x, position.y)


def colour_bars() -> dict[str, ColourBar]:
    """Colour bars of the pictures that are coloured here."""
    shares = np.linspace(0.0, 1.0, 240)[None]
    return {
        "depth": (bar_source(depth_bar()), [f"{depth:g} m" for depth in BAR_DEPTHS]),
        "confidence": (bar_source(confidence_to_color(shares)[0]), ["0", "0.5", "1"]),
    }


def _depth_colours(message: Image) -> np.ndarray:
    if message.encoding == "32FC1":
        return depth_to_color(_floats(message))
    depth = decode_depth(
        message.encoding, message.data, message.height, message.width, message.step
    )
    return depth_to_color(depth)


def _confidence_colours(message: Image) -> np.ndarray:
    return confidence_to_color(_floats(message))


def _floats(message: Image) -> np.ndarray:
    """Values of a 32FC1 image as they are: +Inf is beyond range, and not unknown.

    Raises:
        DataError: The message's size does not fit its data.
    """
    values = np.frombuffer(message.data, np.float32)
    if values.size != message.height * message.width:
        raise DataError(f"expected {message.height} x {message.width} pixels, got {values.size}")
    return values.reshape(message.height, message.width)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line, ROS arguments removed."""
    parser = argparse.ArgumentParser(prog="view", description="Live page of both nodes.")
    parser.add_argument(
        "--port", type=int, default=PORT, help="of this computer alone; 0 = any that is free"
    )
    return parser.parse_args(arguments)


def main(stop: threading.Event) -> int:
    """Serve the page until ``stop`` is set."""
    options = parse(own_arguments())
    state = LiveState()
    server = LiveServer(state, options.port, colour_bars())
    sys.stdout.write(f"{server.address}  (Ctrl-C ends it)\n")
    sys.stdout.flush()
    init_ros()
    executor = SingleThreadedExecutor()
    executor.add_node(Viewer(state))
    try:
        while not stop.is_set():
            executor.spin_once(timeout_sec=0.2)
    finally:
        server.close()
        rclpy.try_shutdown()
    return 0
