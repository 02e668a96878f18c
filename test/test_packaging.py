# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The package's description as colcon and rosdep read it."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import sfm_depth_ros


def test_setup_runs_through_a_link_as_colcon_symlink_install_does(
    source_tree: Path, tmp_path: Path
) -> None:
    for name in ("setup.py", "setup.cfg", "sfm_depth_ros", "launch", "config", "models"):
        (tmp_path / name).symlink_to(source_tree / name)
    described = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert described.returncode == 0, described.stderr
    assert described.stdout.split()[-1] == sfm_depth_ros.__version__


def test_every_ros_package_that_is_imported_is_declared(source_tree: Path) -> None:
    tree = ElementTree.parse(source_tree / "package.xml")
    declared = {node.text for node in tree.iter("exec_depend")}
    needed = {"rclpy", "launch", "launch_ros", "ros2launch", "rviz2", "tf2_ros_py", "tf2_msgs"}
    text = "\n".join(path.read_text() for path in (source_tree / "sfm_depth_ros/ros").glob("*.py"))
    needed |= {
        line.split()[1].split(".")[0]
        for line in text.splitlines()
        if line.startswith("from ") and line.split()[1].split(".")[0].endswith(("_msgs", "_srvs"))
    }
    assert needed <= declared
    assert "python3-pytest-timeout" in {node.text for node in tree.iter("test_depend")}
