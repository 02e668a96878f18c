# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy file allows what the running nodes have, and the trainer's services are all there."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.ros

POLICY = Path(__file__).parents[3] / "config" / "sros2_policy.xml"
# Of rclpy itself in some distributions: actions of a debugger, and the type of its own messages
OWN = {"get_type_description"}


def allowed(node, kind, right):
    """Names that the policy allows a node, fully qualified in the root namespace."""
    names = set()
    for profile in ElementTree.parse(POLICY).iter("profile"):
        if profile.get("node") == node:
            for group in profile.iter(f"{kind}s"):
                if group.get(right) == "ALLOW":
                    names |= {entry.text for entry in group}
    return {
        name.replace("~", f"/{node}") if "~" in name else f"/{name.lstrip('/')}" for name in names
    }


@pytest.mark.parametrize("node", ["depth_node", "trainer_node"])
def test_the_policy_allows_what_a_node_has(start_node, tiny_model, tmp_path, probe, node):
    start_node(node, model=tiny_model.path, models_dir=tmp_path / "models")
    graph = (
        ("topic", "publish", probe.node.get_publisher_names_and_types_by_node),
        ("topic", "subscribe", probe.node.get_subscriber_names_and_types_by_node),
        ("service", "reply", probe.node.get_service_names_and_types_by_node),
    )

    def names(read):
        try:
            found = read(node, probe.namespace)
        except Exception:  # rclpy.node.NodeNameNonExistentError before the node is discovered
            return set()
        return {name.replace(probe.namespace + "/", "/", 1) for name, _ in found}

    is_up = {"depth_node": "/depth/image_rect", "trainer_node": "/training/status"}[node]
    probe.until(lambda: is_up in names(graph[0][2]) and "/image" in names(graph[1][2]), 60)
    for kind, right, read in graph:
        missing = names(read) - allowed(node, kind, right)
        assert not missing, f"{right} {kind}: {missing}"
    assert allowed(node, "service", "reply") - names(graph[2][2]) <= {f"/{node}/{n}" for n in OWN}
