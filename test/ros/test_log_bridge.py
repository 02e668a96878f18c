# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging

from sfm_depth_ros.ros import log_bridge


class _Logger:
    def __init__(self):
        self.said = []

    def __getattr__(self, level):
        return lambda text: self.said.append((level, text))


def test_levels_arrive_and_the_bridge_goes_again():
    ros, core = _Logger(), logging.getLogger("sfm_depth_ros.data.test")
    bridge = log_bridge.install(ros)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        core.log(level, "%s m", 3)
    log_bridge.remove(bridge)
    core.error("silence")
    assert [level for level, _ in ros.said] == ["debug", "info", "warning", "error", "fatal"]
    assert {text for _, text in ros.said} == {"3 m"}


def test_traces_are_part_of_the_text():
    ros = _Logger()
    bridge = log_bridge.install(ros)
    try:
        raise ValueError("inner")
    except ValueError:
        logging.getLogger("sfm_depth_ros.data.test").exception("outer")
    log_bridge.remove(bridge)
    assert "outer" in ros.said[0][1]
    assert "ValueError: inner" in ros.said[0][1]
