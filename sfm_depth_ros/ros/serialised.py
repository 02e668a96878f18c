# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages that are published as bytes: recorded ones, and those that hardly change."""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

from sfm_depth_ros.messages import STAMP_BEGIN, STAMP_END, serialised_stamp, stamp_layout
from sfm_depth_ros.ros import qos


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


def restamped(cdr: bytes, offset_ns: int) -> bytes:
    """Move the stamp of a serialised message that begins with a header."""
    moved = divmod(serialised_stamp(cdr) + offset_ns, 10**9)
    return cdr[:STAMP_BEGIN] + struct.pack(stamp_layout(cdr), *moved) + cdr[STAMP_END:]


class RepeatedMessage:
    """A message of which all but the stamp and the last bytes is serialised once.

    rclpy copies a message field by field before it serialises it, which for depth and its camera
    takes longer than to send them; bytes it passes on.
    """

    def __init__(self) -> None:
        self._like: Hashable = None
        self._start = self._middle = b""

    def cdr(
        self,
        header: Header,
        like: Hashable,
        make: Callable[[], Any],
        data: np.ndarray | None = None,
    ) -> bytes:
        """The message, serialised.

        Args:
            header: Its header.
            like: What the rest of it depends on; where that is as before, ``make`` is not called.
            make: Makes it; its first field is a header, its last one ``data`` as bytes, if given.
            data: Contents of its last field, of the same size as long as ``like`` is the same.
        """
        if self._like != (header.frame_id, like):
            cdr = serialize_message(make())
            self._start = cdr[:STAMP_BEGIN]
            self._middle = cdr[STAMP_END : len(cdr) - (0 if data is None else data.nbytes)]
            self._like = header.frame_id, like
        stamp = struct.pack(stamp_layout(self._start), header.stamp.sec, header.stamp.nanosec)
        last = b"" if data is None else np.ascontiguousarray(data).data
        return b"".join((self._start, stamp, self._middle, last))


class SerialisedPublisher:
    """Publishes one recorded topic."""

    def __init__(self, node: Node, topic: str, kind: Any, is_latched: bool = False) -> None:
        """Advertise the topic, reliably; latched, it also reaches late subscribers."""
        self.sent = 0  # messages
        self._kind = kind
        self._has_header = begins_with_header(kind)
        profile = qos.latched(depth=100) if is_latched else QoSProfile(depth=10)
        self._publisher: Publisher = node.create_publisher(
            kind, topic, profile, qos_overriding_options=qos.overrides()
        )

    @property
    def subscribers(self) -> int:
        """Number of matched subscriptions."""
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
