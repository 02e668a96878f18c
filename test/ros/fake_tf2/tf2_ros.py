# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""tf2_ros as far as the package uses it, with the behaviour of the real one.

A transform is unknown until the node was spun while somebody published it; the listener holds two
subscriptions, in the node's executor, until it is unregistered; latched transforms also reach a
listener that comes later. tf2_msgs is not on PyPI, so each transform is a message of its own.
"""

from __future__ import annotations

from geometry_msgs.msg import TransformStamped
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile


class LookupException(Exception):  # noqa: N818 - the name in tf2
    """A frame is not known."""


class Buffer:
    """Transforms by parent and child, without chains."""

    def __init__(self, cache_time=None, node=None):
        self._transforms = {}

    def set_transform(self, transform, authority):
        self._transforms[transform.header.frame_id, transform.child_frame_id] = transform

    def lookup_transform(self, target_frame, source_frame, time, timeout=None):
        assert timeout is None or timeout == Duration(), "waiting would stop the executor"
        try:
            return self._transforms[target_frame, source_frame]
        except KeyError:
            raise LookupException(f'"{source_frame}" does not exist') from None


class TransformListener:
    """Fills a buffer."""

    def __init__(self, buffer, node, *, spin_thread=False, qos=100, static_qos=None):
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.buffer, self.node, group = buffer, node, ReentrantCallbackGroup()
        self._subscriptions = [
            node.create_subscription(TransformStamped, topic, self._take, q, callback_group=group)
            for topic, q in (("/tf", qos), ("/tf_static", static_qos or latched))
        ]

    def unregister(self):
        for subscription in self._subscriptions:
            self.node.destroy_subscription(subscription)

    def _take(self, message):
        self.buffer.set_transform(message, "default_authority")
