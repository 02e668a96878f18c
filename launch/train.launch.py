# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""depth_node and trainer_node: depth.launch.py with train:=true, and all of its arguments."""

from __future__ import annotations

from pathlib import Path

from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource


def generate_launch_description() -> LaunchDescription:
    """Include the one description of both nodes."""
    depth = Path(__file__).resolve().with_name("depth.launch.py")
    return LaunchDescription(
        [
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(depth)), launch_arguments=[("train", "true")]
            )
        ]
    )
