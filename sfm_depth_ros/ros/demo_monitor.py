# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Watches both nodes for the demo: what happens goes out as JSON lines, commands come in so.

Out: ``state``, ``depth`` (diagnostics of depth_node), ``training`` (status of trainer_node),
``model`` (path of an accepted model), ``outputs`` (stamps), ``called`` (response of a
service). In: ``{"set_training": true | false}``, ``{"offer": path of a model}``.
"""

from __future__ import annotations

import json
import math
import sys
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import SetBool

from sfm_depth_ros.messages import serialised_stamp
from sfm_depth_ros.ros import qos
from sfm_depth_ros.ros.main import run_process
from sfm_depth_ros.ros.start import init_ros

NODES = ("depth_node", "trainer_node")
PERIOD_S = 0.5


class DemoMonitor(Node):
    """Subscribes to both nodes' outputs, and polls their states."""

    def __init__(self, report: Callable[[dict[str, Any]], None]) -> None:
        super().__init__("demo_monitor")
        self._report = report
        self._stamps_ns: list[int] = []
        self._offers: Any = None  # made when first needed: the trainer's is the usual one
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.create_subscription(DiagnosticArray, "training/status", self._on_training, 10)
        self.create_subscription(String, "model", self._on_model, qos.latched())
        self.create_subscription(
            Image, "depth/image_rect", self._on_output, qos.small_input(), raw=True
        )
        self._states = {name: self.create_client(GetState, f"{name}/get_state") for name in NODES}
        self._training = self.create_client(SetBool, "trainer_node/set_training")
        self.create_timer(PERIOD_S, self._poll)

    def set_training(self, is_wanted: bool) -> None:
        """Pause or resume the trainer; the response is reported as ``called``."""
        future = self._training.call_async(SetBool.Request(data=is_wanted))
        future.add_done_callback(
            lambda done: self._report(
                {
                    "event": "called",
                    "set_training": is_wanted,
                    "success": done.result().success,
                    "message": done.result().message,
                }
            )
        )

    def offer(self, path: str) -> None:
        """Publish the path of a model, as the trainer does."""
        if self._offers is None:
            self._offers = self.create_publisher(String, "model", qos.latched())
        self._offers.publish(String(data=path))

    def _poll(self) -> None:
        """Request the states, and report the stamps of the outputs since the last time."""
        for name, client in self._states.items():
            if client.service_is_ready():
                future = client.call_async(GetState.Request())
                future.add_done_callback(lambda done, name=name: self._on_state(name, done))
        stamps_ns, self._stamps_ns = self._stamps_ns, []
        self._report({"event": "outputs", "stamps_ns": stamps_ns})

    def _on_state(self, name: str, done: Any) -> None:
        self._report({"event": "state", "node": name, "state": done.result().current_state.label})

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith("depth_node"):
                self._report(_facts("depth", status))

    def _on_training(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._report(_facts("training", status))

    def _on_model(self, message: String) -> None:
        self._report({"event": "model", "path": message.data})

    def _on_output(self, data: bytes) -> None:
        self._stamps_ns.append(serialised_stamp(data))  # the pixels are never unpacked


def main(stop: threading.Event) -> int:
    """Watch until ``stop`` is set or the commands end."""
    commands: SimpleQueue[str | None] = SimpleQueue()
    threading.Thread(target=_read, args=(commands,), daemon=True).start()
    init_ros()
    node = DemoMonitor(_write)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not stop.is_set():
        executor.spin_once(timeout_sec=0.1)
        if not _obey(node, commands):
            break
    rclpy.try_shutdown()
    return 0


def _obey(node: DemoMonitor, commands: SimpleQueue[str | None]) -> bool:
    """Carry out one waiting command; False after the last."""
    try:
        line = commands.get_nowait()
    except Empty:
        return True
    if line is None:
        return False
    command = json.loads(line)
    if "offer" in command:
        node.offer(command["offer"])
    else:
        node.set_training(bool(command["set_training"]))
    return True


def _read(commands: SimpleQueue[str | None]) -> None:
    for line in sys.stdin:
        commands.put(line)
    commands.put(None)


def _write(event: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def _facts(event: str, status: Any) -> dict[str, Any]:
    values = {pair.key: _number(pair.value) for pair in status.values}
    return {"event": event, "message": status.message, "facts": values}


def _number(text: str) -> float | str | None:
    """Parse the text that ``as_text`` wrote; NaN and infinity become None."""
    try:
        number = float(text)
    except ValueError:
        return text or None
    return number if math.isfinite(number) else None


if __name__ == "__main__":
    run_process("sfm_depth_ros.ros.demo_monitor:main")
