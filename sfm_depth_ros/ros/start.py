# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start of ROS in a process; what a user gave wrongly is one line."""

from __future__ import annotations

import sys

import rclpy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from sfm_depth_ros.errors import ConfigError


def own_arguments() -> list[str]:
    """The command line without the program's name and without ROS arguments.

    Raises:
        ConfigError: A ROS argument cannot be used.
    """
    try:
        return list(remove_ros_args(sys.argv)[1:])
    except RuntimeError as error:
        raise _as_config_error(error) from error


def init_ros() -> None:
    """Begin with ROS. Signals belong to ``main.run_process``, so rclpy installs no handlers.

    Raises:
        ConfigError: A ROS argument, or the folder of log files, cannot be used.
    """
    try:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:
        raise _as_config_error(error) from error


def _as_config_error(error: RuntimeError) -> ConfigError:
    text = str(error).partition(", at /")[0]
    if "initialize logging" in text or ".log for writing" in text:
        return ConfigError(f"{text}: set ROS_LOG_DIR to a folder that can be written")
    return ConfigError(f"ROS arguments: {text}")
