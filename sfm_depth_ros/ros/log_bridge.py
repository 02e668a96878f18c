# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Standard ``logging`` of the core, said through the node's logger (console, /rosout, levels)."""

from __future__ import annotations

import logging
from typing import Any


class LogBridge(logging.Handler):
    """Forwards records to a ROS logger."""

    def __init__(self, ros_logger: Any) -> None:
        """Take the logger of a node, ``node.get_logger()``."""
        super().__init__()
        self._logger = ros_logger

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record; rclpy fixes the severity per calling line, so each level has its own."""
        text = self.format(record)
        if record.levelno >= logging.CRITICAL:
            self._logger.fatal(text)
        elif record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)


def install(ros_logger: Any) -> LogBridge:
    """Send everything that this package logs to a ROS logger; levels are then ROS's business."""
    bridge = LogBridge(ros_logger)
    package = logging.getLogger("sfm_depth_ros")
    package.addHandler(bridge)
    package.setLevel(logging.DEBUG)
    package.propagate = False
    return bridge


def remove(bridge: LogBridge) -> None:
    """Undo :func:`install`."""
    package = logging.getLogger("sfm_depth_ros")
    package.removeHandler(bridge)
    package.propagate = True
