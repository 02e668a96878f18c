# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Topics of depth_node's outputs, as a replayed bag has them."""

from __future__ import annotations

DEPTH_TOPIC = "/depth/image_rect"
DEPTH_INFO_TOPIC = "/depth/camera_info"
ODOMETRY_TOPIC = "/ego_motion/odom"
TWIST_TOPIC = "/ego_motion/twist"
# What is written beside them where it is wanted
EXTRAS = {
    "color": "/depth/color",
    "confidence": "/depth/confidence",
    "landmarks": "/landmarks",
    "points": "/depth/points",
}
DEFAULT_EXTRAS = ("color", "confidence", "landmarks")  # points take ten times as much
OUTPUT_TOPICS = (DEPTH_TOPIC, DEPTH_INFO_TOPIC, ODOMETRY_TOPIC, TWIST_TOPIC, *EXTRAS.values())
