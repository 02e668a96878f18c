# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""bag_player: a rosbag2 as ROS topics, where ``ros2 bag`` is not installed."""

from __future__ import annotations

import argparse
import json
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from sfm_depth_ros.bags.reader import BagReader, RawMessage
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.messages import serialised_stamp
from sfm_depth_ros.ros.conversions import ns_to_stamp
from sfm_depth_ros.ros.serialised import SerialisedPublisher, message_class
from sfm_depth_ros.ros.start import init_ros, own_arguments

LOOP_PAUSE_S = 1.0
FASTEST, HOUR = 1000.0, 3600.0  # of the recorded speed; seconds
PROGRESS_S = 5.0
CLOCK_PERIOD_NS = 10_000_000
SETTLE_S = 0.5


@dataclass(frozen=True)
class Due:
    """A message and when it is due."""

    raw: RawMessage  # The recorded message
    at_ns: int  # Time since the start of playing, at rate 1
    offset_ns: int  # What its stamps are moved by


class BagPlayer(Node):
    """Publishes a bag's messages when they are due."""

    def __init__(self, reader: BagReader, options: argparse.Namespace) -> None:
        """Advertise the topics.

        Raises:
            DataError: A wanted topic is not in the bag.
        """
        super().__init__("bag_player")
        self._reader, self._options = reader, options
        self.stamps_ns: list[int] = []  # Of the images sent
        kinds = self._kinds()
        self._latched = {topic for topic in kinds if topic.endswith("_static")}
        self._latched |= reader.latched & set(kinds)
        self._sent_first: set[tuple[str, int]] = set()  # topic and time of latched messages
        self._outputs = {
            topic: SerialisedPublisher(self, topic, kind, topic in self._latched)
            for topic, kind in kinds.items()
        }
        self._time = self.create_publisher(Clock, "/clock", 10) if options.clock else None
        self._clock_ns = 0

    def _kinds(self) -> dict[str, Any]:
        recorded = dict(self._reader.recorded)
        wanted = self._options.topics or list(recorded)
        if missing := [topic for topic in wanted if topic not in recorded]:
            raise DataError(
                f"the bag has no topic {', '.join(missing)}; it has {', '.join(sorted(recorded))}"
            )
        kinds = {topic: message_class(recorded[topic]) for topic in wanted}
        for topic in (topic for topic, kind in kinds.items() if kind is None):
            self.get_logger().warning(
                f"{topic} is left out: {recorded[topic].split('/')[0]} is not installed"
            )
        return {topic: kind for topic, kind in kinds.items() if kind is not None}

    @property
    def _first_ns(self) -> int:
        """Bag time from which on it is played."""
        return self._reader.start_ns + round(self._options.start * 1e9)

    @property
    def counts(self) -> dict[str, int]:
        """Messages sent, by topic."""
        return {topic: output.sent for topic, output in self._outputs.items()}

    @property
    def images_sent(self) -> int:
        """Images sent."""
        return self.counts.get(self._reader.topics.image, 0)

    def wait_for_subscribers(self, stop: threading.Event) -> None:
        """Wait until as many subscribers of the images as wanted are matched."""
        count = self._options.wait_for
        if count == 0:
            stop.wait(SETTLE_S)
            return
        output = self._outputs.get(self._reader.topics.image)
        if output is None:
            raise DataError("--wait-for counts subscribers of the images, and none are played")
        self.get_logger().info(f"waiting for {count} subscribers of the images")
        while output.subscribers < count and not stop.wait(0.05):
            pass
        stop.wait(SETTLE_S)  # the other side may not have matched yet

    def publish_latched(self) -> None:
        """Publish what a robot that was switched on earlier has latched: above all, transforms.

        These are the messages from before the first one that is played; of a topic that has none,
        its first message.
        """
        if not self._latched:
            return
        first_ns, begun = self._first_ns, set()
        for raw in self._reader.raw_messages(*self._latched):
            if raw.time_ns <= first_ns or raw.topic not in begun:
                begun.add(raw.topic)
                self._sent_first.add((raw.topic, raw.time_ns))
                self._outputs[raw.topic].publish(raw.cdr)

    def lead_in(self, stop: threading.Event) -> None:
        """Publish the calibration before the first image, as a camera that warms up does."""
        output = self._outputs.get(self._reader.topics.camera_info)
        if output is None or self._options.lead <= 0:
            return
        first = next(self._reader.raw_messages(self._reader.topics.camera_info))
        end = time.monotonic() + self._options.lead
        while time.monotonic() < end and not stop.is_set():
            output.publish(first.cdr)
            stop.wait(0.5)

    def play(self, stop: threading.Event) -> None:
        """Publish until the end, or until ``stop`` is set."""
        started = reported = time.monotonic()
        for due in self._schedule():
            now = time.monotonic()
            wait_s = started + due.at_ns * 1e-9 / self._options.rate - now
            if stop.wait(wait_s) if wait_s > 0 else stop.is_set():
                return
            self._publish(due)
            if now - reported > PROGRESS_S:
                reported = now
                self.get_logger().info(f"{due.at_ns * 1e-9:.0f} s, {self.images_sent} images")
        stop.wait(SETTLE_S)  # messages in flight may still arrive

    def _publish(self, due: Due) -> None:
        time_ns = due.raw.time_ns + due.offset_ns
        if self._time is not None and abs(time_ns - self._clock_ns) >= CLOCK_PERIOD_NS:
            self._clock_ns = time_ns
            self._time.publish(Clock(clock=ns_to_stamp(time_ns)))
        self._outputs[due.raw.topic].publish(due.raw.cdr, due.offset_ns)
        if due.raw.topic == self._reader.topics.image:
            self.stamps_ns.append(serialised_stamp(due.raw.cdr) + due.offset_ns)

    def _schedule(self) -> Iterator[Due]:
        options = self._options
        first_ns = self._first_ns
        span_s = max(0.0, min(options.duration, self._reader.duration_s - options.start))
        last_ns = first_ns + round(span_s * 1e9)
        round_ns = last_ns - first_ns + round(LOOP_PAUSE_S * 1e9)
        for loop in range(options.loop):
            offset_ns = 0 if options.keep_stamps else loop * round_ns
            for raw in self._reader.raw_messages(*self._outputs):
                if loop == 0 and (raw.topic, raw.time_ns) in self._sent_first:
                    continue
                if first_ns <= raw.time_ns <= last_ns:
                    yield Due(raw, raw.time_ns - first_ns + loop * round_ns, offset_ns)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line, ROS arguments removed."""
    parser = argparse.ArgumentParser(prog="bag_player", description=__doc__.split(":", 1)[1])
    parser.add_argument("bag", type=Path, help="folder of a rosbag2, or one .mcap or .db3 file")
    parser.add_argument("--rate", type=float, default=1.0, help="speed, 1 = as recorded")
    parser.add_argument("--loop", type=int, default=1, metavar="N", help="times to play it")
    parser.add_argument("--topics", nargs="+", default=[], help="these alone; default: all")
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="seconds to skip")
    parser.add_argument(
        "--duration", type=float, default=float("inf"), metavar="S", help="seconds to play"
    )
    parser.add_argument(
        "--wait-for",
        type=int,
        default=0,
        metavar="N",
        help="wait until N subscribers of the images are there",
    )
    parser.add_argument(
        "--lead",
        type=float,
        default=0.0,
        metavar="S",
        help="publish the calibration alone for S seconds first",
    )
    parser.add_argument("--clock", action="store_true", help="publish /clock from the bag's time")
    parser.add_argument(
        "--keep-stamps",
        action="store_true",
        help="let stamps jump back at each loop instead of going on",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was sent")
    options = parser.parse_args(arguments)
    if not (0 < options.rate <= FASTEST and options.loop >= 1):
        parser.error(f"expected --rate above 0 and at most {FASTEST:g}, and --loop of at least 1")
    if not (0 <= options.start < math.inf and options.duration > 0 and 0 <= options.lead <= HOUR):
        parser.error(
            f"expected --start of 0 or more, --duration above 0, and --lead from 0 to {HOUR:g}"
        )
    return options


def main(stop: threading.Event) -> int:
    """Play a bag until its end or until ``stop`` is set."""
    options = parse(own_arguments())
    with BagReader(options.bag) as reader:
        init_ros()
        try:
            player = BagPlayer(reader, options)
            player.wait_for_subscribers(stop)
            player.publish_latched()
            player.lead_in(stop)
            player.play(stop)
            player.get_logger().info(f"sent {player.images_sent} images; {player.counts}")
            if options.json is not None:
                report = {
                    "images": player.images_sent,
                    "topics": player.counts,
                    "stamps_ns": player.stamps_ns,
                }
                options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        finally:
            rclpy.try_shutdown()
    return 0
