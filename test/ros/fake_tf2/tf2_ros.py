# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""tf2_ros as far as the package uses it, with the behaviour of the real one.

A transform is unknown until the node was spun while somebody published it; the listener holds two
subscriptions, in the node's executor, until it is unregistered; latched transforms also reach a
listener that comes later. Frames form trees that are composed in both directions; names that are
empty or begin with a slash, unconnected trees and edges without a common time raise what tf2
raises. tf2_msgs is not on PyPI, so each transform is a message of its own.
"""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile

from sfm_depth_ros.geometry.frames import matrix_to_pose, pose_to_matrix


class TransformException(Exception):  # noqa: N818 - the names in tf2
    """What all of tf2's exceptions are."""


class LookupException(TransformException):
    """A frame is not known."""


class ConnectivityException(TransformException):
    """The frames are in different trees."""


class ExtrapolationException(TransformException):
    """The edges between the frames have no common time."""


class InvalidArgumentException(TransformException):
    """A frame's name is empty or begins with a slash."""


class Buffer:
    """A tree of transforms; only the latest common time can be looked up."""

    def __init__(self, cache_time=None, node=None):
        self._parents = {}  # parent of each child
        self._edges = {}  # {stamp: (4, 4)} of each child, {None: (4, 4)} where static

    def set_transform(self, transform, authority):
        stamp = transform.header.stamp
        self._set(transform, stamp.sec * 10**9 + stamp.nanosec)

    def set_transform_static(self, transform, authority):
        self._set(transform, None)

    def lookup_transform(self, target_frame, source_frame, time, timeout=None):
        assert timeout is None or timeout == Duration(), "waiting would stop the executor"
        assert time.nanoseconds == 0, "the stand-in knows the latest time alone"
        for frame in (target_frame, source_frame):
            self._check(frame)
        targets, sources = self._ancestors(target_frame), self._ancestors(source_frame)
        common = next((frame for frame in sources if frame in targets), None)
        if common is None:
            raise ConnectivityException(f"{target_frame} and {source_frame}: two trees")
        ways = targets[: targets.index(common)], sources[: sources.index(common)]
        stamp = self._latest_common([*ways[0], *ways[1]])
        T_common_target, T_common_source = (self._composed(way, stamp) for way in ways)
        found = TransformStamped(child_frame_id=source_frame)
        found.header.frame_id = target_frame
        numbers = matrix_to_pose(np.linalg.inv(T_common_target) @ T_common_source)
        t, q = found.transform.translation, found.transform.rotation
        t.x, t.y, t.z, q.x, q.y, q.z, q.w = map(float, numbers)
        return found

    def _set(self, transform, stamp):
        child, parent = transform.child_frame_id.lstrip("/"), transform.header.frame_id.lstrip("/")
        t, q = transform.transform.translation, transform.transform.rotation
        numbers = np.array([t.x, t.y, t.z, q.x, q.y, q.z, q.w])
        is_unit = abs(np.linalg.norm(numbers[3:]) - 1) < 0.01 and np.isfinite(numbers).all()
        if not child or not parent or child == parent or not is_unit:
            return False  # tf2 logs and ignores it
        if self._parents.get(child) != parent or stamp is None:
            self._edges[child] = {}
        self._parents[child] = parent
        self._edges[child][stamp] = pose_to_matrix(numbers)
        return True

    def _check(self, frame):
        if not frame or frame.startswith("/"):
            raise InvalidArgumentException(f'"{frame}" is empty or begins with a slash')
        if frame not in self._parents and frame not in self._parents.values():
            raise LookupException(f'"{frame}" does not exist')

    def _ancestors(self, frame):
        """The frame, its parent, and so on to the root."""
        found = [frame]
        while found[-1] in self._parents:
            found.append(self._parents[found[-1]])
        return found

    def _latest_common(self, children):
        moving = [self._edges[child] for child in children if None not in self._edges[child]]
        if not moving:
            return None
        stamp = min(max(edge) for edge in moving)
        if any(stamp < min(edge) for edge in moving):
            raise ExtrapolationException("no common time")
        return stamp

    def _composed(self, children, stamp):
        """Pose of the first child in the last one's parent."""
        T = np.eye(4)
        for child in children:
            edge = self._edges[child]
            T = edge[None if None in edge else max(s for s in edge if s <= stamp)] @ T
        return T


class TransformListener:
    """Fills a buffer."""

    def __init__(self, buffer, node, *, spin_thread=False, qos=100, static_qos=None):
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.buffer, self.node, group = buffer, node, ReentrantCallbackGroup()
        self._subscriptions = [
            node.create_subscription(TransformStamped, topic, take, q, callback_group=group)
            for topic, take, q in (
                ("/tf", self._take, qos), ("/tf_static", self._take_static, static_qos or latched)
            )
        ]  # fmt: skip

    def unregister(self):
        for subscription in self._subscriptions:
            self.node.destroy_subscription(subscription)

    def _take(self, message):
        self.buffer.set_transform(message, "default_authority")

    def _take_static(self, message):
        self.buffer.set_transform_static(message, "default_authority")
