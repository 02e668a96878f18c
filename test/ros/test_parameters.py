# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from rclpy.parameter import Parameter  # needs the skip above

from sfm_depth_ros.config.loading import iter_options
from sfm_depth_ros.config.schema import DepthNodeConfig, TrainerNodeConfig
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.ros.parameters import Parameters, nested


@pytest.mark.parametrize("config_class", [DepthNodeConfig, TrainerNodeConfig])
def test_defaults_are_those_of_the_dataclass(ros_node, config_class):
    assert Parameters(ros_node(), config_class, lambda config: None).config == config_class()


def test_every_option_is_declared_with_its_sentence_and_range(ros_node):
    node = ros_node()
    Parameters(node, TrainerNodeConfig, lambda config: None)
    for option in iter_options(TrainerNodeConfig):
        described = node.describe_parameter(option.path)
        assert described.description == option.doc
        assert described.read_only == (not option.dynamic)
    described = node.describe_parameter("training.learning_rate")
    assert described.floating_point_range[0].to_value == pytest.approx(0.1)
    assert node.describe_parameter("training.batch_size").integer_range[0].to_value == 64
    constraints = node.describe_parameter("velocity_source").additional_constraints
    assert constraints == "one of: odom, twist, twist_with_covariance"


def test_given_values_arrive_nested_ones_and_lists_too(ros_node):
    pose = [1.0, 0.0, 0.5, -0.5, 0.5, -0.5, 0.5]
    node = ros_node(training__batch_size=2, base_to_camera=pose, max_depth=50.0)
    config = Parameters(node, TrainerNodeConfig, lambda config: None).config
    assert config.training.batch_size == 2
    assert config.base_to_camera == tuple(pose)
    assert config.max_depth == 50.0


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("max_depth", 50, "a number with a decimal point"),
        ("max_depth", -1.0, "out of range"),
        ("engine", "abacus", "expected one of auto"),
        ("base_to_camera", [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], "unit quaternion"),
        ("base_frame", "", "base_frame: expected a name, got an empty text"),
        ("models_dir", " ", "models_dir: expected a name"),
        ("odom_frame", "", "odom_frame: expected a name"),
        ("input_width", 333, "multiple of 32"),
    ],
)
def test_a_wrong_value_is_refused_by_name(ros_node, name, value, said):
    with pytest.raises(ConfigError, match=said) as caught:
        Parameters(ros_node(**{name: value}), DepthNodeConfig, lambda config: None)
    assert name in str(caught.value)


def test_a_dynamic_one_changes_live(ros_node):
    node, seen = ros_node(), []
    parameters = Parameters(node, DepthNodeConfig, seen.append)
    (result,) = node.set_parameters([Parameter("max_depth", value=42.0)])
    assert result.successful
    assert seen == [dataclasses.replace(DepthNodeConfig(), max_depth=42.0)]
    assert parameters.config.max_depth == 42.0


def test_a_read_only_one_says_so_and_nothing_changes(ros_node):
    node, seen = ros_node(), []
    parameters = Parameters(node, DepthNodeConfig, seen.append)
    (result,) = node.set_parameters([Parameter("engine", value="torch")])
    assert not result.successful
    assert "read-only" in result.reason or "read only" in result.reason
    assert (parameters.config, seen) == (DepthNodeConfig(), [])


def test_the_rules_between_options_hold_live(ros_node):
    node = ros_node()
    parameters = Parameters(node, DepthNodeConfig, lambda config: None)
    (result,) = node.set_parameters([Parameter("min_displacement", value=50.0)])
    assert not result.successful
    assert "min_displacement < max_displacement" in result.reason
    assert parameters.config.min_displacement == DepthNodeConfig().min_displacement


def test_a_mistyped_name_is_named_with_the_nearest_one(ros_node, monkeypatch):
    node, lines = ros_node(max_dept=5.0, training__batch_size=2, use_sim_time=False), []
    monkeypatch.setattr(node, "get_logger", lambda: SimpleNamespace(warning=lines.append))
    Parameters(node, DepthNodeConfig, lambda config: None)  # training.* is the other node's
    assert lines == ["parameter max_dept: no such parameter; did you mean max_depth?"]


def test_foreign_parameters_pass(ros_node):
    node = ros_node()
    Parameters(node, DepthNodeConfig, lambda config: None)
    assert node.declare_parameter("qos_overrides.x", 1).value == 1
    assert node.set_parameters([Parameter("use_sim_time", value=True)])[0].successful


def test_dotted_names_become_groups():
    assert nested({"a.b.c": 1, "a.d": (2.0,), "e": "x"}) == {
        "a": {"b": {"c": 1}, "d": [2.0]},
        "e": "x",
    }
