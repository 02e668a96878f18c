# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points for a costmap of Nav2: depth.launch.py with the outputs that Nav2's depth tutorial names.

ros2 launch sfm_depth_ros obstacles.launch.py image:=/image_raw camera_info:=/camera_info
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import SetParametersFromFile, SetRemap

SHARE = Path(__file__).resolve().parents[1]

# name: (topic of depth_node, default, description)
OUTPUTS = {
    "points": ("depth/points", "/pipeline/points", "point cloud for the costmap"),
    "depth_image": ("depth/image_rect", "depth_image", "metric depth image"),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the outputs' names; all arguments of depth.launch.py are taken too."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (_, default, text) in OUTPUTS.items()
    ]
    remaps = [SetRemap(topic, LaunchConfiguration(name)) for name, (topic, *_) in OUTPUTS.items()]
    depth = PythonLaunchDescriptionSource(str(SHARE / "launch" / "depth.launch.py"))
    near_band = SetParametersFromFile(str(SHARE / "config" / "obstacles.yaml"))
    nodes = GroupAction([*remaps, near_band, IncludeLaunchDescription(depth)])
    return LaunchDescription([*declared, nodes])
