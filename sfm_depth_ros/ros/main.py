# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Entry points of the processes; light, so that signals are answered from the first moment."""

from __future__ import annotations

import sys

from sfm_depth_ros.ros.process import run_process


def depth_node() -> None:
    """Run depth_node."""
    run_process("sfm_depth_ros.ros.depth_node:main")


def trainer_node() -> None:
    """Run trainer_node."""
    run_process("sfm_depth_ros.ros.trainer_node:main")


def bag_player() -> None:
    """Play a rosbag2 as ROS topics."""
    run_process("sfm_depth_ros.ros.bag_player:main")


if __name__ == "__main__":
    {"depth_node": depth_node, "trainer_node": trainer_node, "bag_player": bag_player}[
        sys.argv.pop(1)
    ]()
