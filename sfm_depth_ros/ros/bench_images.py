# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera and a listener for ``sfm-depth bench``: 1280x720 rgb8 or JPEG, best effort, counted.

``send`` publishes like a camera driver that knows nothing of us; ``receive`` counts what arrives
and how late. Each prints one JSON line at its end. Which transports Fast DDS uses is the
environment's business.
"""

from __future__ import annotations

import argparse
import array
import json
import sys
import time
from statistics import median
from typing import Any

import cv2
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sfm_depth_ros.camera.image_files import encode_jpeg
from sfm_depth_ros.errors import SfmDepthError
from sfm_depth_ros.ros import qos

WIDTH, HEIGHT = 1280, 720
MATCH_WITHIN_S = 20.0
QUIET_S = 2.0  # nothing came for so long: the stream has ended


def send(options: argparse.Namespace) -> dict[str, Any]:
    """Publish ``count`` images and their calibration once ``wait_for`` subscribers are there."""
    node = Node("bench_camera")
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    image = _jpeg() if options.transport == "compressed" else _image()
    images = node.create_publisher(type(image), options.topic, best_effort)
    infos = node.create_publisher(CameraInfo, "camera_info", 10)
    _wait_until(lambda: images.get_subscription_count() >= options.wait_for, "a subscriber")
    time.sleep(options.settle)
    info = _camera_info()
    started = time.monotonic()
    for index in range(options.count):
        time.sleep(max(0.0, started + index / options.rate - time.monotonic()))
        info.header.stamp = image.header.stamp = node.get_clock().now().to_msg()
        infos.publish(info)
        images.publish(image)
    time.sleep(0.5)  # messages in flight may still be sent
    return {"sent": options.count}


def receive(options: argparse.Namespace) -> dict[str, Any]:
    """Count images from the first to the last, and how old they are when they arrive."""
    node = Node("bench_listener")
    ages_ms: list[float] = []

    def take(message: Image) -> None:
        now, stamp = node.get_clock().now().nanoseconds, message.header.stamp
        ages_ms.append((now - stamp.sec * 10**9 - stamp.nanosec) * 1e-6)

    node.create_subscription(Image, options.topic, take, qos.image_input())
    sys.stdout.write(json.dumps({"ready": True}) + "\n")
    sys.stdout.flush()
    deadline, count = time.monotonic() + options.patience, 0
    while time.monotonic() < deadline and len(ages_ms) < options.count:
        rclpy.spin_once(node, timeout_sec=0.1)
        if len(ages_ms) > count:
            count, deadline = len(ages_ms), time.monotonic() + QUIET_S
    return {"received": len(ages_ms), "latency_ms_p50": median(ages_ms) if ages_ms else None}


def main() -> int:
    """Send or receive."""
    parser = argparse.ArgumentParser(prog="bench_images")
    parser.add_argument("role", choices=("send", "receive"))
    parser.add_argument("--topic", default="image")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--rate", type=float, default=20.0, help="images per second")
    parser.add_argument("--transport", choices=("raw", "compressed"), default="raw")
    parser.add_argument("--wait-for", type=int, default=1, help="subscribers to wait for")
    parser.add_argument("--settle", type=float, default=1.0, help="seconds between match and send")
    parser.add_argument("--patience", type=float, default=30.0, help="seconds until the first")
    options = parser.parse_args()
    rclpy.init()
    result = {"send": send, "receive": receive}[options.role](options)
    sys.stdout.write(json.dumps(result) + "\n")
    rclpy.try_shutdown()
    return 0


def _image() -> Image:
    message = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
    message.header.frame_id = "camera_optical"
    ramp = bytes(range(256)) * (HEIGHT * WIDTH * 3 // 256)
    message.data = array.array("B", ramp)  # an ndarray here costs 156 ms, this 0.1
    return message


def _jpeg() -> CompressedImage:
    """A picture as smooth as a street is: it has about 0.4 MB."""
    noise = np.random.default_rng(0).standard_normal((HEIGHT, WIDTH, 3)).astype(np.float32)
    picture = np.clip(128 + 400 * cv2.GaussianBlur(noise, (0, 0), 2.0), 0, 255).astype(np.uint8)
    message = CompressedImage(format="rgb8; jpeg compressed bgr8")
    message.header.frame_id = "camera_optical"
    message.data = array.array("B", encode_jpeg(picture))
    return message


def _camera_info() -> CameraInfo:
    focal = 0.6 * WIDTH
    message = CameraInfo(height=HEIGHT, width=WIDTH, distortion_model="plumb_bob", d=[0.0] * 5)
    message.header.frame_id = "camera_optical"
    message.k = [focal, 0.0, WIDTH / 2, 0.0, focal, HEIGHT / 2, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [focal, 0.0, WIDTH / 2, 0.0, 0.0, focal, HEIGHT / 2, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message


def _wait_until(is_reached: Any, what: str) -> None:
    deadline = time.monotonic() + MATCH_WITHIN_S
    while not is_reached():
        if time.monotonic() > deadline:
            raise SfmDepthError(f"{what} did not appear within {MATCH_WITHIN_S:.0f} s")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
