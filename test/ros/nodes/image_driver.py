# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera driver as a process of its own: raw images of one size, twice a second, numbered."""

from __future__ import annotations

import sys
import time

import numpy as np
import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.ros import conversions

PERIOD_S = 0.5
DEPTH = 5  # reliable, as image_transport publishes


def main() -> None:
    """Publish until the process is ended; each line is the number of images so far."""
    namespace, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rclpy.init(args=[])
    node = rclpy.create_node("driver", namespace=namespace)
    images = node.create_publisher(Image, "image", QoSProfile(depth=DEPTH))
    infos = node.create_publisher(CameraInfo, "camera_info", DEPTH)
    intrinsics = Intrinsics.from_hfov(80.0, width, height)
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    count = 0
    while True:
        header = conversions.header_at(time.time_ns(), "camera_optical")
        infos.publish(conversions.intrinsics_to_camera_info(intrinsics, header))
        images.publish(conversions.array_to_image(pixels, "rgb8", header))
        count += 1
        sys.stdout.write(f"{count}\n")
        sys.stdout.flush()
        time.sleep(PERIOD_S)


main()
