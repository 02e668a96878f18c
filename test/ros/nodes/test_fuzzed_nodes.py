# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Both nodes under malformed messages: alive, counting, flat in memory, and well afterwards."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = [pytest.mark.ros, pytest.mark.timeout(1500)]

from nav_msgs.msg import Odometry
from ros.nodes.malformed import Malformed
from std_msgs.msg import String

from sfm_depth_ros.ros import qos
from sfm_depth_ros.ros.conversions import header_at

BURST = 40  # messages between two looks at the nodes


def _resident_mb(node):
    lines = Path(f"/proc/{node.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _odometry(camera):
    message = Odometry(header=header_at(camera.stamp_ns, "odom"), child_frame_id="base_link")
    message.twist.twist.linear.x = 1.0
    return message


def _own_lines(node):
    """Log lines of ours; the middleware prints several for each message that is damaged."""
    return sum(line.startswith("[") for line in node.text.splitlines())


@pytest.mark.parametrize(
    "count", [2000, pytest.param(100_000, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_nothing_malformed_ends_or_fills_a_node(
    start_node, probe, camera, tiny_model, tmp_path, count, record_property
):
    options = {"model": tiny_model.path, "models_dir": tmp_path / "models"}
    depth = start_node("depth_node", [f"__node:=depth_{count}"], engine="onnxruntime", **options)
    trainer = start_node("trainer_node", [f"__node:=trainer_{count}"], **options)
    nodes = {"depth_node": depth, "trainer_node": trainer}
    trained = probe.watch("training/status")
    probe.until(lambda: camera.shoot() and int(probe.facts.get("published", 0)) > 5, 60)
    probe.until(lambda: camera.shoot() and int(trained.facts.get("frames", 0)) > 5, 60)
    publishers = {
        "image": camera.images, "camera_info": camera.infos, "odom": camera.odometry,
        "model": probe.node.create_publisher(String, "model", qos.latched()),
    }  # fmt: skip
    malformed = Malformed(count, camera.image(), camera.info(), _odometry(camera))
    begun, sent, memory = time.monotonic(), dict.fromkeys(publishers, 0), []
    for index in range(count):
        topic, message = malformed.next()
        publishers[topic].publish(message)
        sent[topic] += 1
        if index % BURST == 0:
            probe.during(0.02)
            for name, node in nodes.items():
                assert node.process.poll() is None, (
                    f"{name} ended after {index}: {node.text[-3000:]}"
                )
        if index % max(count // 10, 1) == count // 20:
            memory.append([round(_resident_mb(node)) for node in nodes.values()])
    seconds = time.monotonic() - begun
    facts = probe.fresh_facts()
    probe.until(
        lambda: camera.shoot() and int(probe.facts["published"]) > int(facts["published"]), 60
    )
    frames = int(trained.facts["frames"])
    probe.until(lambda: camera.shoot() and int(trained.facts["frames"]) > frames + 3, 60)
    counted = {name: int(n) for name, n in probe.facts.items() if name.startswith("errors.")}
    lines = {name: _own_lines(node) for name, node in nodes.items()}
    record_property("figures", [sent, seconds, counted, memory, lines])
    logging.getLogger(__name__).warning(
        "%s in %.0f s; counted %s; memory %s MB; log lines %s; %s",
        sent, seconds, counted, memory, lines, probe.facts["error_kinds"],
    )  # fmt: skip
    assert counted.get("errors.image", 0) + counted.get("errors.velocity", 0) > 0.05 * count
    assert {"errors.camera_info", "errors.model"} <= counted.keys()
    for before, after, room in zip(memory[len(memory) // 3], memory[-1], (40, 400), strict=True):
        assert after - before < room, memory  # the trainer fills its memory of snippets meanwhile
    for name, node in nodes.items():
        assert lines[name] < 80 + 8 * seconds, f"{name} fills its log"
        assert "Traceback" not in node.text, node.text[-3000:]
        assert node.interrupt()[0] == 0
