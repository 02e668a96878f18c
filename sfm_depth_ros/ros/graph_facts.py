# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about a robot's graph, for ``sfm-depth doctor --live``: a few seconds of listening.

Prints one JSON list of findings at its end.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from typing import Any

import rclpy
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from sfm_depth_ros.bags.topics import BagTopics, choose_topics
from sfm_depth_ros.inspection.facts import CAMERA, IMAGE, VELOCITY, Endpoint, Facts
from sfm_depth_ros.inspection.report import findings_of
from sfm_depth_ros.inspection.stream_rules import FITTING
from sfm_depth_ros.ros.serialised import message_class
from sfm_depth_ros.ros.streams import LossCounter

OURS = ("depth_node", "trainer_node")
DISCOVERY_S, SLICE_S = 2.0, 0.5
BEST_EFFORT = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Inspector:
    """Listens to a graph without publishing anything."""

    def __init__(self, node: Node, topics: BagTopics, seconds: float, base_frame: str) -> None:
        self._node, self._seconds = node, seconds
        self.facts = Facts(seconds=seconds, is_live=True, base_frame=base_frame)
        self._wanted, self._losses = topics, {role: LossCounter() for role in FITTING}
        self._asked: dict[str, Any] = {}
        self._heard: set[str] = set()  # topics that are listened to

    def run(self) -> Facts:
        """Discover, choose topics, listen, look who is there."""
        self._spin(DISCOVERY_S)
        end = time.monotonic() + self._seconds
        while (left := end - time.monotonic()) > 0:
            self._discover()  # on a busy machine it goes on for seconds
            self._spin(min(left, SLICE_S))
        self._finish()
        return self.facts

    def _discover(self) -> None:
        names = self._node.get_topic_names_and_types()
        self.facts.topics = {name: types[0] for name, types in names}
        self._choose()
        self._listen()
        self._ask_for_sim_time()

    def _choose(self) -> None:
        """Topics that were named, else those of a node of ours, else those that fit."""
        subscribed = self._subscribed_by_ours()
        chosen = choose_topics(self.facts.topics)
        for role, wanted, fitting in (
            (IMAGE, self._wanted.image, chosen.image),
            (CAMERA, self._wanted.camera_info, chosen.camera_info),
            (VELOCITY, self._wanted.velocity, chosen.velocity),
        ):
            topic, types = subscribed.get(role, ("", ()))
            stream = self.facts.stream(role)
            stream.topic = stream.topic or wanted or topic or fitting
            if topic and topic == self.facts.stream(role).topic:
                self.facts.wanted[role] = types

    def _subscribed_by_ours(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Topic and type that a node of ours takes, by role."""
        found: dict[str, tuple[str, tuple[str, ...]]] = {}
        for name, namespace in self._node.get_node_names_and_namespaces():
            if name not in OURS:
                continue
            for topic, types in self._node.get_subscriber_names_and_types_by_node(name, namespace):
                for role, fitting in FITTING.items():
                    if types[0] in fitting and "right" not in topic:
                        found.setdefault(role, (topic, (types[0],)))
        return found

    def _listen(self) -> None:
        for role in FITTING:
            stream = self.facts.stream(role)
            if not stream.topic or stream.topic in self._heard:
                continue
            infos = self._node.get_publishers_info_by_topic(stream.topic)
            kinds = [i.topic_type for i in infos if i.topic_type in FITTING[role]]
            if not kinds or (kind := message_class(kinds[0])) is None:
                continue
            self._heard.add(stream.topic)
            latched = any(i.qos_profile.durability == LATCHED.durability for i in infos)
            profile = LATCHED if role == CAMERA and latched else BEST_EFFORT
            self._node.create_subscription(kind, stream.topic, self._taker(role), profile)
        for topic in ("/tf", "/tf_static"):
            self._listen_to_transforms(topic)

    def _listen_to_transforms(self, topic: str) -> None:
        name = self.facts.topics.get(topic)
        if name is None or topic in self._heard:
            return
        self._heard.add(topic)
        if (kind := message_class(name)) is None:
            self.facts.has_tf = False
            return
        profile = LATCHED if topic.endswith("_static") else BEST_EFFORT
        self._node.create_subscription(kind, topic, self.facts.add_transforms, profile)

    def _taker(self, role: str) -> Any:
        """Callback of a role; rclpy hands the info to functions of two arguments."""

        def take(message: Any, info: Any) -> None:
            stamp = message.header.stamp
            self._losses[role].take(info, stamp.sec * 10**9 + stamp.nanosec)
            self.facts.add(role, message, time.time_ns())

        return take

    def _ask_for_sim_time(self) -> None:
        for name, namespace in self._node.get_node_names_and_namespaces():
            if name in OURS:
                full = f"{namespace.rstrip('/')}/{name}"
                if full in self._asked:
                    continue
                client = self._node.create_client(GetParameters, f"{full}/get_parameters")
                request = GetParameters.Request(names=["use_sim_time", "base_frame"])
                self._asked[full] = client.call_async(request)

    def _finish(self) -> None:
        facts = self.facts
        for role in FITTING:
            stream = facts.stream(role)
            stream.lost = self._losses[role].lost
            if stream.topic:
                stream.publishers = [
                    _endpoint(i) for i in self._node.get_publishers_info_by_topic(stream.topic)
                ]
                stream.subscriptions = [
                    _endpoint(i)
                    for i in self._node.get_subscriptions_info_by_topic(stream.topic)
                    if i.node_name != self._node.get_name()
                ]
        facts.clock_publishers = self._node.count_publishers("/clock")
        for name, future in self._asked.items():
            if future.done() and future.result() is not None:
                sim, base = future.result().values
                facts.uses_sim_time[name] = bool(sim.bool_value)
                facts.base_frame = base.string_value or facts.base_frame

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            rclpy.spin_once(self._node, timeout_sec=min(left, 0.1))


def _endpoint(info: Any) -> Endpoint:
    return Endpoint(
        f"{info.node_namespace.rstrip('/')}/{info.node_name}",
        info.topic_type,
        info.qos_profile.reliability == ReliabilityPolicy.RELIABLE,
        info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL,
    )


def main() -> int:
    """Inspect and print."""
    parser = argparse.ArgumentParser(prog="graph_facts")
    for name in ("image", "camera-info", "odom", "base-frame"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    rclpy.init()
    node = Node("sfm_depth_doctor")
    topics = BagTopics(image=options.image, camera_info=options.camera_info, velocity=options.odom)
    base_frame = options.base_frame or "base_link"
    try:
        facts = Inspector(node, topics, options.seconds, base_frame).run()
    except ValueError as error:  # a name that no topic can have
        sys.exit(f"error: {str(error).partition(', at /')[0]}")
    sys.stdout.write(json.dumps([dataclasses.asdict(one) for one in findings_of(facts)]) + "\n")
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
