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
        ({"bag": "/", "rviz": "true"}, ["depth_node", "bag_player", "rviz2"]),
    ],
)
def test_the_arguments_decide_what_runs(load, given, executables, monkeypatch):
    module = load("depth.launch.py")
    monkeypatch.setattr(module, "get_package_prefix", lambda package: "/")
    context = launch.LaunchContext()
    for name, (default, _, _) in module.ARGUMENTS.items():
        context.launch_configurations[name] = given.get(name, default)
    assert [node.node_executable for node in module.start(context)] == executables


@pytest.mark.parametrize("name", ["params_file", "bag", "rviz"])
def test_what_is_missing_starts_nothing(load, name, monkeypatch):
    module = load("depth.launch.py")

    def lacks(package):
        raise module.PackageNotFoundError(package)

    monkeypatch.setattr(module, "get_package_prefix", lacks)
    context = launch.LaunchContext()
    for option, (default, _, _) in module.ARGUMENTS.items():
        context.launch_configurations[option] = default
    context.launch_configurations[name] = "true" if name == "rviz" else "/no/such/file"
    with pytest.raises(RuntimeError, match=f"^{name}:="):
        module.start(context)


def test_the_users_own_profile_is_left_alone(load, monkeypatch):
    module = load("depth.launch.py")
    for name in module.PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert len(module.transport()) == 2
    monkeypatch.setenv("ROS_DISTRO", "kilted")
    assert len(module.transport()) == 1
    monkeypatch.setitem(os.environ, module.PROFILE_VARIABLES[1], "/my/profile.xml")
    assert module.transport() == []
