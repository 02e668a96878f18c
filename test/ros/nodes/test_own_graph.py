# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""depth_node with an imported ONNX graph: metric depth live, without a pose network."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from onnx import TensorProto, helper, numpy_helper
from sensor_msgs.msg import Image

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.engines.graphs.foreign import GraphDeclaration
from sfm_depth_ros.model_folder.graph_saving import save_graph


@pytest.fixture(scope="module")
def own_model(tmp_path_factory):
    """Ten times the brightness in metres, at 96x32."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["grey", "ten"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "grey",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 32, 96))],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array(10.0, np.float32), "ten")],
    )
    source = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return save_graph(
        tmp_path_factory.mktemp("models") / "grey",
        source.SerializeToString(),
        GraphDeclaration("metric"),
        DepthNetworkConfig(name="onnx", focal_rule="none"),
        {"trained_on": [], "licence": "Apache-2.0"},
    )


def test_depth_is_metric_without_a_pose_network(start_node, own_model, probe, camera):
    start_node("depth_node", model=own_model.path, engine="onnxruntime", min_depth=0.01)
    depths = probe.collect(Image, "depth/image_rect")
    sent = []

    def shot_and_answered():
        sent.append(camera.shoot())
        probe.during(0.1)
        return len(depths) >= 3

    probe.until(shot_and_answered, 30.0)
    header = depths[-1].header
    image = next(message for message in sent if message.header == header)
    pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
    small = pixels.reshape(32, 2, 96, 2, 3).mean(axis=(1, 3, 4))
    metres = np.frombuffer(depths[-1].data, np.float32).reshape(32, 96)
    np.testing.assert_allclose(metres, 10 * small / 255, atol=0.03)  # bytes round
    facts = probe.fresh_facts()
    assert facts["engine_depth"].startswith("onnxruntime")
    assert "engine_pose" not in facts
