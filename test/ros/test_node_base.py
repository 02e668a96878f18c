# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from unittest.mock import Mock

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.ros import node_base
from sfm_depth_ros.ros.main import StopEvent
from sfm_depth_ros.ros.node_base import SfmNode, spin


class Recorder(SfmNode):
    """Notes what is called."""

    error: Exception | None = None

    def __init__(self):
        self.calls = []
        super().__init__("recorder", DepthNodeConfig)

    def configure(self):
        self.calls.append("configure")

    def activate(self):
        self.calls.append("activate")
        if self.error is not None:
            raise self.error

    def deactivate(self):
        self.calls.append("deactivate")

    def cleanup(self):
        self.calls.append("cleanup")


@pytest.fixture
def recorder():
    rclpy.init(args=[])
    node = Recorder()
    yield node
    node.close()
    node.destroy_node()
    rclpy.try_shutdown()


def test_it_starts_itself_and_closes_in_order(recorder):
    recorder.autostart()
    assert (recorder.state_label, recorder.is_active) == ("active", True)
    recorder.close()
    assert recorder.calls == ["configure", "activate", "deactivate", "cleanup"]


@pytest.mark.parametrize(
    ("error", "state"), [(DataError("no such file"), "inactive"), (KeyError("x"), "unconfigured")]
)
def test_a_failed_transition_keeps_its_reason(recorder, error, state):
    recorder.error = error
    recorder.autostart()
    assert recorder.state_label == state
    assert not recorder.is_active
    if state == "inactive":
        assert recorder.problem == "activate failed: no such file"
        recorder.error = None
        recorder.trigger_activate()
        assert (recorder.problem, recorder.is_active) == (None, True)


def test_a_failed_step_gives_back_what_it_took(recorder):
    recorder.error = DataError("no such file")
    recorder.autostart()
    assert recorder.calls == ["configure", "activate", "deactivate"]


def test_a_trainer_whose_model_is_missing_may_be_configured_again(tmp_path):
    """Its own locks on the folders were in its way; and a former trainer ends first."""
    pytest.importorskip("torch")
    from sfm_depth_ros.ros.trainer_node import TrainerNode

    parameters = {"models_dir": tmp_path / "models", "model": tmp_path / "later"}
    given = [f"-p {name}:={value}" for name, value in parameters.items()]
    words = " ".join(["--ros-args -p autostart:=false -p training.niceness:=0", *given])
    rclpy.init(args=words.split())
    node = TrainerNode()
    try:
        for _ in range(2):
            node.trigger_configure()
            assert "later is not a model folder" in node.problem
        node._trainer = former = Mock()
        node.cleanup()
        former.stop.assert_not_called()  # which may take a step
        node.trigger_configure()
        former.stop.assert_called_once_with(timeout=None)
    finally:
        node.close()
        node.destroy_node()
        rclpy.try_shutdown()


def test_spin_serves_until_it_is_stopped():
    stop, made = StopEvent(), []

    def make():
        made.append(Recorder())
        return made[0]

    threading.Timer(0.5, stop.set).start()
    assert spin(make, stop) == 0
    assert stop.is_served
    assert made[0].calls == ["configure", "activate", "deactivate", "cleanup"]


class _Logger:
    def __init__(self):
        self.said = []

    def __getattr__(self, level):
        return lambda text: self.said.append((level, text))


def test_levels_arrive_and_the_bridge_goes_again():
    ros, core = _Logger(), logging.getLogger("sfm_depth_ros.data.test")
    bridge = node_base.install_bridge(ros)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        core.log(level, "%s m", 3)
    node_base.remove_bridge(bridge)
    core.error("silence")
    assert [level for level, _ in ros.said] == ["debug", "info", "warning", "error", "fatal"]
    assert {text for _, text in ros.said} == {"3 m"}


def test_traces_are_part_of_the_text():
    ros = _Logger()
    bridge = node_base.install_bridge(ros)
    try:
        raise ValueError("inner")
    except ValueError:
        logging.getLogger("sfm_depth_ros.data.test").exception("outer")
    node_base.remove_bridge(bridge)
    assert "outer" in ros.said[0][1]
    assert "ValueError: inner" in ros.said[0][1]


def test_a_service_waits_for_another_thread_without_holding_up_the_rest(recorder):
    work, responses, ticks = Future(), [], []

    async def serve(request, response):
        await recorder.finished(work)
        response.success, response.message = True, work.result()
        return response

    beside = MutuallyExclusiveCallbackGroup()
    recorder.create_service(Trigger, "slow", serve, callback_group=beside)
    client = recorder.create_client(
        Trigger, "slow", callback_group=MutuallyExclusiveCallbackGroup()
    )
    recorder.create_timer(0.01, lambda: ticks.append(time.monotonic()))
    executor = SingleThreadedExecutor()
    executor.add_node(recorder)
    assert client.wait_for_service(10.0)
    asked = client.call_async(Trigger.Request())
    asked.add_done_callback(lambda done: responses.append(done.result().message))
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)
    assert responses == []
    assert len(ticks) > 30
    threading.Timer(0.2, work.set_result, ["saved"]).start()
    begun = time.monotonic()
    while not responses and time.monotonic() < begun + 10.0:
        executor.spin_once(timeout_sec=0.1)
    assert responses == ["saved"]
    executor.shutdown()
