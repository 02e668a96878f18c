# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metric depth and ego-motion from one camera: depth_node with trainer, bag and RViz.

ros2 launch sfm_depth_ros depth.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import Node

from sfm_depth_ros.engine_table import ENGINES

SHARE = Path(__file__).resolve().parents[1]
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
OLD_FAST_DDS = ("humble", "iron", "jazzy")  # they know the second name alone; newer ones warn

# The ego-motion's frame as a leaf below base_frame: RViz finds it, and no other tree is disturbed
PATH_FOR_RVIZ = {"publish_tf": True, "invert_tf": True}

# name: (default, choices or None, description)
ARGUMENTS: dict[str, tuple[str, list[str] | None, str]] = {
    "image": ("image", None, "image topic, raw or compressed by its exact name"),
    "camera_info": ("camera_info", None, "calibration topic"),
    "odom": ("odom", None, "odometry topic, for velocity_source odom"),
    "twist": ("twist", None, "twist topic, for velocity_source twist and twist_with_covariance"),
    "image_transport": (
        "",
        ["", "raw", "compressed"],
        "type of the image topic; empty = as in the parameter files",
    ),
    "params_file": ("", None, "parameter file of yours, read after config/*.yaml"),
    "model": ("", None, "model folder; empty = the newest accepted, else the shipped one"),
    "engine": (
        "",
        ["", "auto", *ENGINES],
        "inference engine; empty = as in the parameter files",
    ),
    "namespace": ("", None, "namespace of the nodes"),
    "use_sim_time": ("false", ["true", "false"], "take the time from /clock"),
    "train": ("false", ["true", "false"], "run trainer_node too"),
    "rviz": ("false", ["true", "false"], "show it in RViz"),
    "bag": ("", None, "rosbag2 to play; name its topics with image:= and so on"),
    "rate": ("1.0", None, "speed of the bag"),
    "log_level": ("info", ["debug", "info", "warn", "error", "fatal"], "least severe log lines"),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the rest depends on their values."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, choices=choices, description=text)
        for name, (default, choices, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, *transport(), OpaqueFunction(function=start)])


def transport() -> list[SetEnvironmentVariable]:
    """Let Fast DDS carry large images, unless the user has a profile of their own."""
    if any(name in os.environ for name in PROFILE_VARIABLES):
        return []
    is_old = os.environ.get("ROS_DISTRO", "jazzy") in OLD_FAST_DDS
    names = PROFILE_VARIABLES if is_old else PROFILE_VARIABLES[:1]
    profile = str(SHARE / "config" / "fastdds.xml")
    return [SetEnvironmentVariable(name, profile) for name in names]


def start(context: LaunchContext) -> list[Node]:
    """Make the processes that the arguments select."""
    given = context.launch_configurations
    check(given)
    nodes = [camera_node("depth_node", "depth.yaml", given)]
    if is_true(given["train"]):
        nodes.append(camera_node("trainer_node", "trainer.yaml", given))
    if given["bag"]:
        nodes.append(bag_player(given, len(nodes)))
    if is_true(given["rviz"]):
        nodes.append(rviz(given))
    return nodes


def check(given: dict[str, str]) -> None:
    """Refuse what would start half of the processes.

    Raises:
        RuntimeError: A file or a program is missing; launch shows it as one line.
    """
    for name in ("params_file", "bag"):
        if given[name] and not Path(given[name]).expanduser().exists():
            raise RuntimeError(f"{name}:={given[name]}: no such file")
    if is_true(given["rviz"]):
        try:
            get_package_prefix("rviz2")
        except PackageNotFoundError as error:
            remedy = "apt install ros-$ROS_DISTRO-rviz2, or leave rviz:=true out"
            raise RuntimeError(f"rviz:=true: rviz2 is not installed; {remedy}") from error


def camera_node(name: str, config: str, given: dict[str, str]) -> Node:
    """depth_node or trainer_node."""
    chosen: dict[str, Any] = {"use_sim_time": is_true(given["use_sim_time"])}
    names = ("model", "image_transport", *(("engine",) if name == "depth_node" else ()))
    chosen |= {option: given[option] for option in names if given[option]}
    files: list[Any] = [str(SHARE / "config" / config)]
    if name == "depth_node" and is_true(given["rviz"]):
        files.append(PATH_FOR_RVIZ)
    if given["params_file"]:
        files.append(str(Path(given["params_file"]).expanduser()))
    return Node(
        package="sfm_depth_ros",
        executable=name,
        name=name,
        namespace=given["namespace"],
        parameters=[*files, chosen],
        remappings=[(topic, given[topic]) for topic in ("image", "camera_info", "odom", "twist")],
        arguments=["--ros-args", "--log-level", given["log_level"]],
        output="screen",
    )


def bag_player(given: dict[str, str], listeners: int) -> Node:
    """Plays the bag once all nodes listen; its calibration comes first."""
    options = ["--rate", given["rate"], "--wait-for", str(listeners), "--lead", "3"]
    clock = ["--clock"] if is_true(given["use_sim_time"]) else []
    return Node(
        package="sfm_depth_ros",
        executable="bag_player",
        arguments=[given["bag"], *options, *clock],
        output="screen",
    )


def rviz(given: dict[str, str]) -> Node:
    """RViz with camera, depth, points, landmarks and motion, under this launch's topic names."""
    config, shown = SHARE / "config" / "depth.rviz", "image"
    if given["image_transport"] == "compressed":
        config, shown = compressed_display(config), "image/compressed"
    return Node(
        package="rviz2",
        executable="rviz2",
        namespace=given["namespace"],
        arguments=["-d", str(config)],
        remappings=[(shown, given["image"])],
        parameters=[{"use_sim_time": is_true(given["use_sim_time"])}],
    )


def compressed_display(config: Path) -> Path:
    """A copy that shows a compressed image: RViz takes the transport from the name it reads."""
    text = config.read_text(encoding="utf-8").replace(
        "Value: image\n", "Value: image/compressed\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".rviz", delete=False) as copy:
        copy.write(text)
    return Path(copy.name)


def is_true(text: str) -> bool:
    """Read a launch argument."""
    return text.lower() == "true"
