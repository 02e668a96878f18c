# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import pytest

_numbers = itertools.count()


@pytest.fixture
def ros_node():
    """Make nodes with parameters given as text, in a context of their own."""
    rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
    context = rclpy.Context()
    rclpy.init(context=context, args=[])
    nodes = []

    def make(**parameters):
        overrides = [
            rclpy.Parameter(name.replace("__", "."), value=value)
            for name, value in parameters.items()
        ]
        node = rclpy.create_node(
            f"node_{next(_numbers)}", context=context, parameter_overrides=overrides
        )
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture(scope="session")
def other_model(tiny_model, tmp_path_factory):
    """The tiny model with other weights."""
    torch = pytest.importorskip("torch")
    from sfm_depth_ros.networks.model import create_depth_network, create_pose_network
    from sfm_depth_ros.pipeline.model_saving import save_model

    torch.manual_seed(1)
    return save_model(
        tmp_path_factory.mktemp("other"),
        create_depth_network(tiny_model.depth_config),
        create_pose_network(tiny_model.pose_config),
        metadata={"steps": 1, "metrics": {}},
        parent=tiny_model,
    )
