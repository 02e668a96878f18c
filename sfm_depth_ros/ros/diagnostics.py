# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A DiagnosticArray once a second from a plain value, whatever state the node is in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Diagnosis:
    """How a node is."""

    is_ok: bool  # Whether it does what it is there for
    message: str  # One sentence; where `is_ok` is False, why
    facts: Mapping[str, Value] = field(default_factory=dict)  # Named values
    is_error: bool = False  # Whether somebody has to mend something


class DiagnosticsPublisher:
    """Publishes on a steady clock: sim time that stands still must not silence it."""

    def __init__(
        self, node: Node, topic: str, diagnose: Callable[[], Diagnosis], period_s: float = 1.0
    ) -> None:
        """Start publishing.

        Args:
            node: The node that speaks.
            topic: ``/diagnostics``, or another topic of the same type.
            diagnose: Asked once per period, in the executor's thread.
            period_s: Seconds between two messages.
        """
        self._node, self._diagnose = node, diagnose
        # The plain publisher on purpose: a lifecycle one is mute while the node is inactive.
        self._publisher = node.create_publisher(DiagnosticArray, topic, 10)
        self._timer = node.create_timer(
            period_s, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def publish(self) -> None:
        """Publish now."""
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        name = self._node.get_fully_qualified_name().lstrip("/")
        message.status = [to_status(name, self._diagnose())]
        self._publisher.publish(message)


def to_status(name: str, diagnosis: Diagnosis) -> DiagnosticStatus:
    """One status message with the facts as key and text."""
    level = DiagnosticStatus.OK if diagnosis.is_ok else DiagnosticStatus.WARN
    if diagnosis.is_error:
        level = DiagnosticStatus.ERROR
    values = [KeyValue(key=key, value=as_text(value)) for key, value in diagnosis.facts.items()]
    return DiagnosticStatus(
        level=level, name=name, message=diagnosis.message, hardware_id="", values=values
    )


def as_text(value: Value) -> str:
    """A value as people and programs read it; unknown is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
