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
