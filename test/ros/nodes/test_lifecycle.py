# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""States, signals and starting without what is needed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from sensor_msgs.msg import Image


def test_without_autostart_the_states_are_somebody_elses_business(
    start_node, probe, camera, tiny_model, tmp_path
):
    start_node(
        "depth_node",
        autostart=False,
        model=tiny_model.path,
        models_dir=tmp_path,
        engine="onnxruntime",
    )
    name = f"{probe.namespace}/depth_node"
    depths = probe.collect(Image, "depth/image_rect")

    def state():
        return probe.call(GetState, f"{name}/get_state").current_state.label

    def change(identifier):
        transition = Transition(id=identifier)
        return probe.call(ChangeState, f"{name}/change_state", transition=transition).success

    assert state() == "unconfigured"
    probe.until(lambda: probe.message == "the node is unconfigured, not active")
    assert change(Transition.TRANSITION_CONFIGURE)
    assert state() == "inactive"
    assert change(Transition.TRANSITION_ACTIVATE)
    assert state() == "active"
    probe.until(lambda: camera.shoot() and depths)
    assert change(Transition.TRANSITION_DEACTIVATE)
    probe.during(0.3)
    count = len(depths)
    for _ in range(5):
        camera.shoot()
        probe.during(0.05)
    assert len(depths) == count
    assert probe.fresh_facts()["state"] == "inactive"
    assert change(Transition.TRANSITION_ACTIVATE)
    probe.until(lambda: camera.shoot() and len(depths) > count)
    assert change(Transition.TRANSITION_DEACTIVATE)
    assert change(Transition.TRANSITION_CLEANUP)
    assert state() == "unconfigured"


@pytest.mark.parametrize(("entry", "count"), [("depth_node", 1000), ("trainer_node", 150)])
def test_illegal_transitions_are_refused_in_any_order(
    start_node, probe, tiny_model, tmp_path, entry, count
):
    node = start_node(
        entry, [f"__node:=shaken_{entry}"], autostart=False, model=tiny_model.path,
        models_dir=tmp_path / "models",
    )  # fmt: skip
    service = f"{probe.namespace}/shaken_{entry}/change_state"
    legal = {1: {"unconfigured": "inactive"}, 2: {"inactive": "unconfigured"},
             3: {"inactive": "active"}, 4: {"active": "inactive"}}  # fmt: skip
    state, rng = "unconfigured", random.Random(0)
    change = probe.caller(ChangeState, service)
    for _ in range(count):
        number = rng.choice([0, 1, 1, 2, 3, 3, 4, 9, 10, 11, 30, 60, 62, 99, 255])
        expected = legal.get(number, {}).get(state)
        assert change(transition=Transition(id=number)).success == (expected is not None)
        state = expected or state
    shutdown = {"unconfigured": 5, "inactive": 6, "active": 7}
    assert not change(transition=Transition(id=shutdown[state] % 3 + 5)).success
    assert not change(transition=Transition(label="no such label")).success
    assert change(transition=Transition(id=shutdown[state])).success
    for number in range(10):  # finalized: nothing is legal any more
        assert not change(transition=Transition(id=number)).success
    assert node.process.poll() is None
    assert "Traceback" not in node.text
    assert node.interrupt()[0] == 0


def test_a_model_that_is_none_is_an_error_that_names_it(start_node, probe, tmp_path):
    node = start_node("depth_node", ["__node:=broken"], model=tmp_path, models_dir=tmp_path)
    _wait_for(node, "configure failed")
    assert str(tmp_path) in node.text
    assert node.interrupt()[0] == 0
    assert "Traceback" not in node.text


def test_a_wrong_parameter_is_one_line(start_node):
    node = start_node("depth_node", engine="abacus")
    assert node.process.wait(timeout=20) == 1
    assert "engine: expected one of auto" in node.text
    assert "Traceback" not in node.text


def test_a_log_folder_that_cannot_be_made_is_one_line(start_node, monkeypatch):
    monkeypatch.setenv("ROS_LOG_DIR", "/proc/none")
    node = start_node("depth_node")
    assert node.process.wait(timeout=30) == 1
    assert node.text.count("\n") == 1
    assert "/proc/none" in node.text and "set ROS_LOG_DIR to a folder" in node.text


@pytest.mark.parametrize("entry", ["depth_node", "trainer_node"])
def test_a_log_level_that_is_none_is_one_line(start_node, tmp_path, entry):
    options = ["--ros-args", "--log-level", "chatty", "--"]
    node = start_node(entry, options=options, models_dir=tmp_path / "models")
    assert node.process.wait(timeout=30) == 1
    assert "error: ROS arguments" in node.text and "chatty" in node.text
    assert "Traceback" not in node.text


@pytest.mark.parametrize(
    ("entry", "topic"), [("depth_node", "image.subscription"), ("trainer_node", "model.publisher")]
)
@pytest.mark.parametrize("value", ["sometimes", 3])
def test_a_bad_quality_of_service_is_one_line(
    start_node, tiny_model, tmp_path, namespace, entry, topic, value
):
    name = f"qos_overrides.{namespace}/{topic}.reliability"
    node = start_node(
        entry, ["__node:=strict"], options=["--ros-args", "-p", f"{name}:={value}", "--"],
        model=tiny_model.path, models_dir=tmp_path / "models",
    )  # fmt: skip
    _wait_for(node, "reliability")
    assert "Traceback" not in node.text
    if entry == "trainer_node":  # its publisher is made with the node
        assert node.process.wait(timeout=20) == 1
    else:
        assert "activate failed" in node.text
        assert node.interrupt()[0] == 0


@pytest.mark.parametrize("entry", ["depth_node", "trainer_node"])
@pytest.mark.parametrize("delay", [0.0, 0.3, 1.0])
def test_a_signal_during_the_start_ends_it_cleanly(start_node, tmp_path, entry, delay):
    node = start_node(entry, models_dir=tmp_path)
    _wait_for_handlers(node.process.pid)
    time.sleep(delay)
    status, seconds = node.interrupt(signal.SIGTERM if delay == 0.3 else signal.SIGINT)
    assert (status, "Traceback" in node.text) == (0, False), node.text
    assert seconds < 2.0


def test_depth_node_needs_no_torch():
    code = "import sfm_depth_ros.ros.depth_node, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _wait_for_handlers(pid, seconds=20.0):
    """Until the process catches SIGTERM, which the interpreter does not do by itself."""
    end = time.monotonic() + seconds
    while True:
        assert time.monotonic() < end
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.005)


def _wait_for(node, text, seconds=20.0):
    end = time.monotonic() + seconds
    while text not in node.text:
        assert time.monotonic() < end, node.text
        time.sleep(0.05)
