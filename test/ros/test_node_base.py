# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

import rclpy

from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.ros.node_base import SfmNode, spin
from sfm_depth_ros.ros.process import StopEvent


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


def test_spin_serves_until_it_is_stopped():
    stop, made = StopEvent(), []

    def make():
        made.append(Recorder())
        return made[0]

    threading.Timer(0.5, stop.set).start()
    assert spin(make, stop) == 0
    assert stop.is_served
    assert made[0].calls == ["configure", "activate", "deactivate", "cleanup"]
