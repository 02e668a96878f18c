# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded messages, published as they are: serialised, with nothing but the stamp changed."""

from __future__ import annotations

import importlib
import struct
from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message

from sfm_depth_ros.ros import qos

# A serialised message begins with four bytes that say how; a leading header's stamp comes next.
_STAMP_AT, _STAMP_END = 4, 12


def message_class(type_name: str) -> Any | None:
    """The message class of ``"package/msg/Name"``, or None where the package is not installed."""
    package, _, name = type_name.partition("/msg/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        return None


def begins_with_header(kind: Any) -> bool:
    """Whether the first field of a message class is a header."""
    return next(iter(kind.get_fields_and_field_types().values()), "") == "std_msgs/Header"


def stamp_of(cdr: bytes) -> int:
    """Stamp in nanoseconds of a serialised message that begins with a header."""
    seconds, nanoseconds = struct.unpack_from(_stamp_layout(cdr), cdr, _STAMP_AT)
    return int(seconds * 10**9 + nanoseconds)


def restamped(cdr: bytes, offset_ns: int) -> bytes:
    """Move the stamp of a serialised message that begins with a header."""
    moved = divmod(stamp_of(cdr) + offset_ns, 10**9)
    return cdr[:_STAMP_AT] + struct.pack(_stamp_layout(cdr), *moved) + cdr[_STAMP_END:]


def _stamp_layout(cdr: bytes) -> str:
    return ("<" if cdr[1] & 1 else ">") + "iI"


class SerialisedPublisher:
    """Publishes one recorded topic.

    Attributes:
        sent: Messages published so far.
    """

    def __init__(self, node: Node, topic: str, kind: Any) -> None:
        """Advertise the topic: latched where the name says static, else reliable."""
        self.sent = 0
        self._kind = kind
        self._has_header = begins_with_header(kind)
        profile = qos.latched() if topic.endswith("_static") else QoSProfile(depth=10)
        self._publisher: Publisher = node.create_publisher(
            kind, topic, profile, qos_overriding_options=qos.overrides()
        )

    @property
    def subscribers(self) -> int:
        """How many subscriptions are matched."""
        return int(self._publisher.get_subscription_count())

    def publish(self, cdr: bytes, offset_ns: int = 0) -> None:
        """Publish a recorded message, its stamps moved by ``offset_ns`` nanoseconds."""
        self._publisher.publish(self._moved(bytes(cdr), offset_ns) if offset_ns else bytes(cdr))
        self.sent += 1

    def _moved(self, cdr: bytes, offset_ns: int) -> Any:
        if self._has_header:
            return restamped(cdr, offset_ns)
        if "transforms" not in self._kind.get_fields_and_field_types():
            return cdr
        message = deserialize_message(cdr, self._kind)
        for transform in message.transforms:
            stamp = transform.header.stamp
            moved = stamp.sec * 10**9 + stamp.nanosec + offset_ns
            stamp.sec, stamp.nanosec = divmod(moved, 10**9)
        return message
