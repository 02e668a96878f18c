# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files describe what the interface promises; needs ros2/launch and launch_ros."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

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


def test_obstacles_take_the_same_arguments_and_name_their_outputs(load):
    description = load("obstacles.launch.py").generate_launch_description()
    context = launch.LaunchContext()
    names = {argument.name for argument in description.get_launch_arguments()}
    assert names == ARGUMENTS | {"points", "depth_image"}
    for argument in description.get_launch_arguments():
        argument.execute(context)
    group = description.entities[-1]
    for action in group.get_sub_entities():
        if type(action).__name__ in ("SetRemap", "SetParametersFromFile"):
            action.execute(context)
    assert context.launch_configurations["ros_remaps"] == [
        ("depth/points", "/pipeline/points"),
        ("depth/image_rect", "depth_image"),
    ]
    assert context.launch_configurations["global_params"][0].endswith("config/obstacles.yaml")


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_rviz_shows_the_camera_and_the_path(load, monkeypatch, transport):
    module = load("depth.launch.py")
    monkeypatch.setattr(module, "get_package_prefix", lambda package: "/")
    monkeypatch.setattr(module, "Node", lambda **given: SimpleNamespace(**given))
    topic = "/camera/image_raw" + ("/compressed" if transport == "compressed" else "")
    context = launch.LaunchContext()
    given = {"rviz": "true", "image": topic, "image_transport": transport, "params_file": "/"}
    for name, (default, _, _) in module.ARGUMENTS.items():
        context.launch_configurations[name] = given.get(name, default)
    depth, rviz = module.start(context)
    content = yaml.safe_load(Path(rviz.arguments[1]).read_text())
    displays = content["Visualization Manager"]["Displays"]
    shown = {item["Name"]: item["Topic"]["Value"] for item in displays if "Topic" in item}
    assert rviz.remappings == [(shown["Camera"], topic)]
    assert shown["Camera"] == ("image/compressed" if transport == "compressed" else "image")
    # the frame of Ego-motion is found; a parameter file of the user's comes after
    assert depth.parameters[1:3] == [{"publish_tf": True, "invert_tf": True}, "/"]


def test_a_parameter_file_in_the_home_folder_is_found(load, monkeypatch, tmp_path):
    """The shell leaves a tilde after := as it is."""
    module = load("depth.launch.py")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(module, "Node", lambda **given: SimpleNamespace(**given))
    (tmp_path / "mine.yaml").touch()
    context = launch.LaunchContext()
    for name, (default, _, _) in module.ARGUMENTS.items():
        context.launch_configurations[name] = default
    context.launch_configurations["params_file"] = "~/mine.yaml"
    (depth,) = module.start(context)
    assert depth.parameters[1] == str(tmp_path / "mine.yaml")


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
