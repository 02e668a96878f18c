# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Remedies for missing packages: commands that work in a clone, a workspace and a wheel."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import pytest
import setuptools

from sfm_depth_ros.errors import MissingDependencyError
from sfm_depth_ros.optional import REQUIREMENTS, install_command, require


def test_no_remedy_names_an_extra_of_a_package_that_is_on_no_index(source_tree: Path) -> None:
    for path in sorted((source_tree / "sfm_depth_ros").rglob("*.py")):
        assert not re.search(r"pip install '?sfm_depth_ros\[", path.read_text()), path


def test_every_command_is_what_the_extras_install(
    source_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described: dict[str, dict[str, list[str]]] = {}
    monkeypatch.setattr(setuptools, "setup", described.update)
    runpy.run_path(str(source_tree / "setup.py"))
    known = {
        requirement.partition(";")[0].strip()
        for requirements in described["extras_require"].values()
        for requirement in requirements
    }
    for module in REQUIREMENTS:
        words = shlex.split(install_command(module))
        assert words[:2] == ["pip", "install"] and set(words[2:]) <= known, module


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("rosbags.rosbag2", "pip install 'rosbags>=0.11,<0.12'"),
        ("PIL.Image", "pip install pillow"),
        ("tensorrt", "pip install tensorrt-rtx"),
        ("tf2_ros", "apt install ros-$ROS_DISTRO-tf2-ros-py"),
        ("no_such_module", "pip install no_such_module"),
    ],
)
def test_commands(module: str, command: str) -> None:
    assert install_command(module) == command


def test_a_missing_module_is_named_with_its_command() -> None:
    with pytest.raises(MissingDependencyError, match="type: pip install no_such_module"):
        require("no_such_module.part")
