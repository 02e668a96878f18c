# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files describe what the interface promises; needs ros2/launch and launch_ros."""

from __future__ import annotations

import importlib.util
import os

import pytest

launch = pytest.importorskip("launch.launch_context", reason="ros2/launch is not installed")
pytest.importorskip("launch_ros.actions", reason="launch_ros is not installed")
pytestmark = pytest.mark.ros

ARGUMENTS = {
    *("image", "camera_info", "odom", "twist", "image_transport", "params_file", "model"),
    *("engine", "namespace", "use_sim_time", "train", "rviz", "bag", "rate", "log_level"),
}


@pytest.fixture
def load(source_tree):
    def load(name):
        path = source_tree / "launch" / name
        spec = importlib.util.spec_from_file_location(name.replace(".", "_"), path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.mark.parametrize("name", ["depth.launch.py", "train.launch.py"])
def test_the_arguments_are_those_of_the_interface(load, name):
    description = load(name).generate_launch_description()
    assert {argument.name for argument in description.get_launch_arguments()} == ARGUMENTS


@pytest.mark.parametrize(
    ("given", "executables"),
    [
        ({}, ["depth_node"]),
        ({"train": "true"}, ["depth_node", "trainer_node"]),
        ({"bag": "/some/bag", "rviz": "true"}, ["depth_node", "bag_player", "rviz2"]),
    ],
)
def test_the_arguments_decide_what_runs(load, given, executables):
    module = load("depth.launch.py")
    context = launch.LaunchContext()
    for name, (default, _, _) in module.ARGUMENTS.items():
        context.launch_configurations[name] = given.get(name, default)
    assert [node.node_executable for node in module.start(context)] == executables


def test_the_users_own_profile_is_left_alone(load, monkeypatch):
    module = load("depth.launch.py")
    for name in module.PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert len(module.transport()) == 2
    monkeypatch.setenv("ROS_DISTRO", "kilted")
    assert len(module.transport()) == 1
    monkeypatch.setitem(os.environ, module.PROFILE_VARIABLES[1], "/my/profile.xml")
    assert module.transport() == []
