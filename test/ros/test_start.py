# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a user gives ROS wrongly is one line, whatever the entry point."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros


def _errors(words: list[str], **environment: str) -> tuple[int, list[str]]:
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, **path, **environment},
    )  # fmt: skip
    return done.returncode, done.stderr.strip().splitlines()


@pytest.mark.parametrize("option", ["--namespace", "--image"])
def test_names_that_no_topic_can_have(option: str) -> None:
    command = ["sfm_depth_ros.cli.main", "view", "--port", "0", option, "a b"]
    status, lines = _errors(command)
    assert status == 1
    assert [line for line in lines if line.startswith("error: ROS arguments: ")] == lines[-1:]


def test_a_log_folder_that_cannot_be_made() -> None:
    words = ["sfm_depth_ros.ros.main", "view", "--port", "0"]
    status, lines = _errors(words, ROS_LOG_DIR="/proc/none")
    assert status == 1
    assert "set ROS_LOG_DIR to a folder that can be written" in lines[-1]


def test_a_topic_of_the_doctor() -> None:
    words = ["sfm_depth_ros.cli.main", "doctor", "--live", "--seconds", "1", "--image", "a b"]
    status, lines = _errors(words)
    assert status == 1
    assert "error: topic name 'a b' is invalid" in lines[-2]
    assert not any("Traceback" in line for line in lines)
