# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recipe for Nav2: names as Nav2 has them, and a costmap that marks and clears with them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from stand_in_voxel_layer import StandInVoxelLayer

from sfm_depth_ros.config.loading import iter_options
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.depth_views import POINT_TYPE
from sfm_depth_ros.estimation.point_gate import PointGate
from sfm_depth_ros.geometry.frames import invert, pose_to_matrix

# Parameters that nav2_costmap_2d's obstacle and voxel layers declare
LAYER = {
    "plugin", "enabled", "footprint_clearing_enabled", "min_obstacle_height",
    "max_obstacle_height", "combination_method", "observation_sources", "tf_filter_tolerance",
    "z_voxels", "origin_z", "z_resolution", "unknown_threshold", "mark_threshold",
    "publish_voxel_map",
}  # fmt: skip
SOURCE = {
    "topic", "sensor_frame", "observation_persistence", "expected_update_rate", "data_type",
    "min_obstacle_height", "max_obstacle_height", "inf_is_valid", "marking", "clearing",
    "obstacle_max_range", "obstacle_min_range", "raytrace_max_range", "raytrace_min_range",
}  # fmt: skip
VX, VY, VYAW = 6, 7, 11  # places in robot_localization's vector of 15
MOST_VOXELS = 16  # in a column of the voxel grid
CAMERA = pose_to_matrix([0.2, 0.0, 1.1, -0.5, 0.5, -0.5, 0.5])


@pytest.fixture(scope="module")
def costmap(source_tree: Path) -> dict[str, Any]:
    content = yaml.safe_load((source_tree / "config" / "nav2_obstacles.yaml").read_text())
    parameters: dict[str, Any] = content["local_costmap"]["local_costmap"]["ros__parameters"]
    return parameters


@pytest.fixture(scope="module")
def gate(source_tree: Path) -> PointGate:
    content = yaml.safe_load((source_tree / "config" / "obstacles.yaml").read_text())
    return PointGate.of(DepthNodeConfig(**content["/**"]["ros__parameters"]))


def test_every_name_is_one_of_nav2(costmap: dict[str, Any]) -> None:
    layer = costmap["voxel_layer"]
    sources = layer["observation_sources"].split()
    assert set(layer) - set(sources) <= LAYER
    for source in sources:
        assert set(layer[source]) <= SOURCE
    assert layer["z_voxels"] <= MOST_VOXELS
    assert all(name in costmap for name in costmap["plugins"])


def test_the_topic_is_what_the_launch_file_publishes(
    source_tree: Path, costmap: dict[str, Any]
) -> None:
    text = (source_tree / "launch" / "obstacles.launch.py").read_text()
    default = re.search(r'"points": \("depth/points", "([^"]+)"', text)
    assert default is not None
    assert costmap["voxel_layer"]["pointcloud"]["topic"] == default[1]


def test_the_cloud_reaches_as_far_as_the_costmap_needs(
    costmap: dict[str, Any], gate: PointGate
) -> None:
    layer = costmap["voxel_layer"]
    source = layer["pointcloud"]
    assert gate.max_depth >= source["obstacle_max_range"]
    assert gate.max_depth >= source["raytrace_max_range"]
    assert gate.max_height >= layer["max_obstacle_height"]
    assert gate.voxel_size <= costmap["resolution"]
    assert not gate.min_height > 0  # the floor clears
    assert source["min_obstacle_height"] < 0 < layer["min_obstacle_height"]


def test_the_parameter_file_names_options_that_can_be_changed_live(source_tree: Path) -> None:
    content = yaml.safe_load((source_tree / "config" / "obstacles.yaml").read_text())
    live = {row.path for row in iter_options(DepthNodeConfig) if row.dynamic}
    assert set(content["/**"]["ros__parameters"]) <= live


def test_the_page_shows_the_file_as_it_is(source_tree: Path) -> None:
    page = (source_tree / "docs" / "nav2.md").read_text()
    shown = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    for name in ("nav2_obstacles.yaml", "obstacles.yaml"):
        content = yaml.safe_load((source_tree / "config" / name).read_text())
        assert content in shown, name


def _seen(box_at: float | None) -> np.ndarray:
    """A floor, a wall 5 m ahead, and a box 0.4 m high in between: points in the base's frame."""
    columns, rows = np.meshgrid(np.linspace(-0.8, 0.8, 81), np.linspace(-0.2, 0.5, 71))
    rays = np.stack([np.ones_like(columns), -columns, -rows], axis=-1).reshape(-1, 3)
    origin = CAMERA[:3, 3]
    with np.errstate(divide="ignore"):
        reach = np.where(rays[:, 2] < 0, -origin[2] / rays[:, 2], np.inf)
    reach = np.minimum(reach, 5.0 - origin[0])  # the wall
    if box_at is not None:
        front = box_at - origin[0]
        height = origin[2] + front * rays[:, 2]
        is_box = (height < 0.4) & (height > 0) & (np.abs(front * rays[:, 1]) < 0.3)
        reach = np.where(is_box, np.minimum(reach, front), reach)
    return np.asarray(origin + rays * reach[:, None])


def _gated(places: np.ndarray, gate: PointGate) -> np.ndarray:
    """Through the optical frame and the node's gate, and back."""
    T_camera_base = invert(CAMERA)
    optical = places @ T_camera_base[:3, :3].T + T_camera_base[:3, 3]
    points = np.zeros(len(optical), POINT_TYPE)
    for axis, values in zip("xyz", optical.T, strict=True):
        points[axis] = values
    kept = gate.apply(points, CAMERA)
    assert kept is not None
    back = np.stack([kept[axis] for axis in "xyz"], axis=1).astype(np.float64)
    return np.asarray(back @ CAMERA[:3, :3].T + CAMERA[:3, 3])


def _drive(layer: StandInVoxelLayer, gate: PointGate, box_at: float | None) -> None:
    layer.update(_gated(_seen(box_at), gate), CAMERA[:3, 3])


def test_a_box_is_marked_and_the_floor_is_not(costmap: dict[str, Any], gate: PointGate) -> None:
    layer = StandInVoxelLayer(costmap)
    _drive(layer, gate, 2.52)
    assert layer.is_obstacle(2.52, 0.0)
    assert layer.obstacles.any(axis=1).sum() <= 2  # the front of the box alone


def test_a_box_that_has_gone_is_cleared_by_the_floor_behind(
    costmap: dict[str, Any], gate: PointGate
) -> None:
    layer = StandInVoxelLayer(costmap)
    _drive(layer, gate, 2.52)
    _drive(layer, gate, None)
    assert not layer.obstacles.any()


def test_without_its_floor_a_cloud_clears_nothing_here(
    costmap: dict[str, Any], gate: PointGate
) -> None:
    """The reason for the floor in the cloud."""
    layer = StandInVoxelLayer(costmap)
    floorless = PointGate(0.25, gate.max_height, 4.0, gate.voxel_size)
    _drive(layer, floorless, 2.52)
    _drive(layer, floorless, None)
    assert layer.is_obstacle(2.52, 0.0)


def test_a_grid_below_the_camera_clears_nothing(costmap: dict[str, Any], gate: PointGate) -> None:
    """The reason for z_resolution: 16 voxels of 0.05 m end below a camera at 1.1 m."""
    low = costmap | {"voxel_layer": costmap["voxel_layer"] | {"z_resolution": 0.05}}
    layer = StandInVoxelLayer(low)
    _drive(layer, gate, 2.52)
    _drive(layer, gate, None)
    assert layer.is_obstacle(2.52, 0.0)


def _shown(source_tree: Path, key: str) -> dict[str, Any]:
    page = (source_tree / "docs" / "nav2.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    (content,) = [block for block in blocks if key in block]
    parameters: dict[str, Any] = content[key]["ros__parameters"]
    return parameters


def test_robot_localization_takes_rotation_from_here_and_speed_from_the_wheels(
    source_tree: Path,
) -> None:
    ekf = _shown(source_tree, "ekf_filter_node")
    used = {
        source: [index for index, is_used in enumerate(ekf[f"{source}_config"]) if is_used]
        for source in ("odom0", "twist0")
    }
    assert {len(ekf[f"{source}_config"]) for source in used} == {15}
    assert used == {"odom0": [VX, VY], "twist0": [VYAW]}
    assert ekf["twist0"] == "/ego_motion/twist"


def test_fuse_sensors_are_declared_and_configured(source_tree: Path) -> None:
    estimator = _shown(source_tree, "state_estimator")
    for name in estimator["sensor_models"]:
        assert {"topic", "target_frame"} <= set(estimator[name])


def test_launch_lines_of_the_page_name_our_topics(source_tree: Path) -> None:
    page = (source_tree / "docs" / "nav2.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith(("ros2 launch", "ros2 run"))]
    assert len(lines) == 4
    ours = {"/depth/image_rect", "/depth/camera_info", "/ego_motion/odom", "depth/image_rect",
            "depth/camera_info"}  # fmt: skip
    for line in lines:
        values = [word.partition(":=")[2] for word in line.split() if ":=" in word]
        assert all(values), line
        named = {value for value in values if "depth/" in value or "ego_motion" in value}
        assert named <= ours, line
