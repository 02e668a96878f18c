# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motion, landmarks and scale from images and the odometer.

Landmarks are image points tracked and triangulated with their uncertainty. Metres come from the
odometer's displacement alone; rotation and direction come from the image. Runs without torch and
ROS.
"""
