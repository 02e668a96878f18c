# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metric monocular depth and ego-motion for ROS 2, learning on the robot."""

__version__ = "0.1.0"
