# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the inputs of a robot or of a recording: publishers, and what messages show."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.bags.options import BagOptions
from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.rig import StaticTransforms
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_codec import darkness
from sfm_depth_ros.camera.image_files import image_size
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.messages import (
    camera_info_to_model,
    image_to_rgb,
    pose_of,
    stamp_to_ns,
    velocity_frame,
    velocity_of,
)
from sfm_depth_ros.snippets.values import Velocity

IMAGE, CAMERA, VELOCITY = "image", "camera_info", "velocity"
DECODE_EVERY = 15  # images; decoding all would load the robot
DAMAGED = "their bytes are no {}: look at the disk, and record again"


@dataclass(frozen=True)
class Endpoint:
    """A publisher or a subscription."""

    node: str
    type_name: str  # for example `sensor_msgs/msg/Image`
    is_reliable: bool = True
    is_latched: bool = False  # transient local


@dataclass
class StreamFacts:
    """One topic over the time of inspection."""

    topic: str = ""  # "" = none was found or named
    publishers: list[Endpoint] = field(default_factory=list)
    subscriptions: list[Endpoint] = field(default_factory=list)
    arrivals_ns: list[int] = field(default_factory=list)  # clock of the inspection, or bag time
    stamps_ns: list[int] = field(default_factory=list)
    lost: int = 0  # by the middleware's numbers
    frames: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)  # messages that cannot be used

    @property
    def is_empty(self) -> bool:
        """Whether no message came."""
        return not self.arrivals_ns

    @property
    def span_s(self) -> float:
        """Seconds from the first to the last message."""
        return (self.arrivals_ns[-1] - self.arrivals_ns[0]) * 1e-9 if self.arrivals_ns else 0.0

    @property
    def rate_hz(self) -> float:
        """Messages per second."""
        return (len(self.arrivals_ns) - 1) / self.span_s if self.span_s > 0 else 0.0


@dataclass
class Facts:
    """Everything that the rules look at."""

    image: StreamFacts = field(default_factory=StreamFacts)
    camera: StreamFacts = field(default_factory=StreamFacts)
    velocity: StreamFacts = field(default_factory=StreamFacts)
    topics: Mapping[str, str] = field(default_factory=dict)  # all topics and their types
    wanted: dict[str, tuple[str, ...]] = field(default_factory=dict)  # types taken, by role
    base_frame: str = "base_link"
    seconds: float = 10.0  # of inspection
    is_live: bool = False
    clock_publishers: int = 0  # of /clock
    uses_sim_time: dict[str, bool] = field(default_factory=dict)  # by node of ours
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)  # images, (width, height)
    image_bytes: int = 0  # of the largest image
    frozen: int = 0  # images that are the one before bit by bit, under another stamp
    picture: int = 0  # checksum of the newest image
    dark: Counter[str] = field(default_factory=Counter)  # remarks on dark images
    decoded: int = 0
    models: list[CameraModel] = field(default_factory=list)  # calibrations, where they change
    velocities: list[Velocity] = field(default_factory=list)
    poses: list[tuple[int, np.ndarray]] = field(default_factory=list)  # stamp, T_odom_base
    transforms: StaticTransforms = field(default_factory=StaticTransforms)
    damage: tuple[tuple[str, str], ...] = ()  # what of a bag cannot be read, and the remedy
    has_tf: bool = True  # whether transforms could be looked at

    def stream(self, role: str) -> StreamFacts:
        """Stream of a role."""
        return {IMAGE: self.image, CAMERA: self.camera, VELOCITY: self.velocity}[role]

    def add(self, role: str, message: Any, arrival_ns: int) -> None:
        """Take a message of a role."""
        stream = self.stream(role)
        stream.arrivals_ns.append(arrival_ns)
        stream.stamps_ns.append(stamp_to_ns(message.header.stamp))
        frame = velocity_frame(message) if role == VELOCITY else message.header.frame_id
        stream.frames[str(frame)] += 1
        take = {IMAGE: self._image, CAMERA: self._camera, VELOCITY: self._velocity}[role]
        try:
            take(message)
        except DataError as error:
            stream.refused[str(error)] += 1

    def add_transforms(self, message: Any) -> None:
        """Take a message of /tf or /tf_static."""
        for stamped in getattr(message, "transforms", [message]):
            try:
                T = pose_of(stamped.transform)
            except DataError:
                continue  # tf2 ignores it too
            self.transforms.add(stamped.header.frame_id, stamped.child_frame_id, T)

    def _image(self, message: Any) -> None:
        self.image_bytes = max(self.image_bytes, len(message.data))
        before, self.picture = self.picture, zlib.crc32(message.data)
        is_later = len(set(self.image.stamps_ns[-2:])) == 2
        self.frozen += is_later and before == self.picture
        if hasattr(message, "format"):  # compressed: the size is in the header of a whole file
            size = image_size(np.frombuffer(message.data, np.uint8))
        else:
            size = int(message.width), int(message.height)
        if size != (0, 0):
            self.sizes[size] += 1
        if len(self.image.arrivals_ns) % DECODE_EVERY == 1 or size == (0, 0):
            image = image_to_rgb(message)
            self.decoded += 1
            encoding = getattr(message, "encoding", "") or message.format
            if remark := darkness(image, encoding):
                self.dark[remark] += 1

    def _camera(self, message: Any) -> None:
        model = camera_info_to_model(message, self.image.topic)
        if not self.models or not model.is_same(self.models[-1]):
            self.models.append(model)

    def _velocity(self, message: Any) -> None:
        velocity = velocity_of(message)
        self.velocities.append(velocity)
        if hasattr(message, "pose"):
            self.poses.append((velocity.stamp_ns, pose_of(message.pose.pose)))


def facts_of_bag(path: str | Path, options: BagOptions | None = None) -> Facts:
    """Read a recording once.

    Raises:
        DataError: It cannot be read.
    """
    options = options or BagOptions()
    with BagReader(path, options.topics) as reader:
        facts = Facts(topics=dict(reader.recorded), seconds=reader.duration_s)
        roles = {
            reader.topics.image: IMAGE,
            reader.topics.camera_info: CAMERA,
            reader.topics.velocity: VELOCITY,
        }
        roles.pop("", None)
        for topic, role in roles.items():
            facts.stream(role).topic = topic
        transforms = {"/tf", "/tf_static"} & set(reader.recorded)
        for raw in reader.raw_messages(*roles, *transforms):
            try:
                message = raw.message
            except DataError:
                if raw.topic in roles:
                    facts.stream(roles[raw.topic]).refused[DAMAGED.format(raw.type_name)] += 1
                continue
            if raw.topic in transforms:
                facts.add_transforms(message)
            else:
                facts.add(roles[raw.topic], message, raw.time_ns)
        facts.damage = tuple(reader.damage)
    frames = facts.velocity.frames
    named = next((frame for frame in frames if frame), "")
    facts.base_frame = options.base_frame or named or facts.base_frame
    return facts
