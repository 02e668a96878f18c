# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of the input streams that no single message shows, each with its remedy."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from rclpy.node import Node

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.errors import ConfigError

_logger = logging.getLogger(__name__)
FRAMES = 8  # names of wrong frames that are kept
APART_S = 1.0  # between stamps of what arrives together; more than any latency
WINDOW_S = 10.0
CHANGES = 3  # of the camera in the window that are followed; a driver may switch and switch back
TWIN_S = 30.0  # longer than DDS remembers a node that was killed (20 s)
FEW = 5  # images in the window below which losses are neither named nor acted on
MUCH = 0.2  # share of lost images that is named
OWN_MOTION = ("/ego_motion/odom", "/ego_motion/twist")  # how depth_node's topics end
CARRY_REMEDY = (
    "sfm-depth doctor names what keeps large images back; image_transport: compressed needs none "
    "of it"
)


def require_distinct(node: Node, *names: str) -> None:
    """Refuse inputs of different types that are remapped to one topic; rcl's words are of memory.

    Raises:
        ConfigError: Two of the names are one topic.
    """
    topics = [node.resolve_topic_name(name) for name in names]
    for topic in topics:
        if topics.count(topic) > 1:
            of = " and ".join(name for name, t in zip(names, topics, strict=True) if t == topic)
            raise ConfigError(f"{of} are both {topic}: remap each to a topic of its own")


def publisher_faults(node: Node, topics: Iterable[str]) -> list[str]:
    """Topics with more than one publisher: their messages alternate."""
    faults = []
    for topic in topics:
        publishers = node.get_publishers_info_by_topic(topic)
        if len(publishers) > 1:
            names = sorted({f"{p.node_namespace.rstrip('/')}/{p.node_name}" for p in publishers})
            faults.append(
                f"{len(publishers)} publishers on {topic} ({', '.join(names)}): their messages "
                "alternate; stop one, or remap to the topic of one"
            )
    return faults


class TwinWatch:
    """Another node of the same name, whose services and outputs mix with those of this one."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._since: float | None = None  # Monotonic time at which it was seen first

    def fault(self) -> str:
        """Names the twin, with the remedy; "" = there is none. Called once a second."""
        own = (self._node.get_name(), self._node.get_namespace())
        count = self._node.get_node_names_and_namespaces().count(own)
        now = time.monotonic()
        if count < 2:
            self._since = None
            return ""
        self._since = now if self._since is None else self._since
        if now - self._since < TWIN_S:
            return ""
        return (
            f"{count} nodes are named {self._node.get_fully_qualified_name()}: parameters reach "
            "one of them by chance, and outputs of all alternate; stop the others, or start them "
            "with names (-r __node:=) or namespaces (-r __ns:=) of their own"
        )


def feedback_fault(node: Node, topic: str) -> str:
    """An input that is an output of these nodes; "" = it is none."""
    own = (node.get_name(), node.get_namespace())
    publishers = node.get_publishers_info_by_topic(topic)
    is_own = any((p.node_name, p.node_namespace) == own for p in publishers)
    if not is_own and not (publishers and topic.endswith(OWN_MOTION)):
        return ""
    return (
        f"{topic} is an output of depth_node itself, which would confirm itself: remap the input "
        "to the topic of the camera, or of the wheels' odometry"
    )


def frame_fault(image_frame: str | None, camera_frame: str | None) -> str:
    """Frames of image and calibration that differ or are empty; "" = nothing wrong or unknown."""
    if image_frame is None or camera_frame is None or image_frame == camera_frame != "":
        return ""
    if not image_frame:
        return (
            "images have an empty frame_id, so nothing that is published can be placed: set the "
            "frame id in the camera driver"
        )
    return (
        f"images are in frame {image_frame!r} and camera_info in {camera_frame!r}: set the same "
        "frame id for both in the driver, or remap camera_info to that of this camera"
    )


def stamp_fault(stamp_ns: int | None) -> str:
    """An image without a stamp; "" = it has one, or none has come."""
    if stamp_ns != 0:
        return ""
    return (
        "images have no stamp, so that nothing pairs them with the odometry or with each other: "
        "fill header.stamp in the camera driver"
    )


def clock_fault(image_ns: int | None, velocity_ns: int | None) -> str:
    """Stamps of an image and a velocity that arrived together; "" = one clock, or unknown."""
    if not image_ns or not velocity_ns or abs(image_ns - velocity_ns) < APART_S * 1e9:
        return ""
    word = "after" if image_ns > velocity_ns else "before"
    return (
        f"images are stamped {abs(image_ns - velocity_ns) * 1e-9:.1f} s {word} velocities that "
        "arrive with them, so that no pair of images has one: have both stamped by one clock at "
        "the time of measurement"
    )


class CameraChanges:
    """Calibrations of one stream: a new camera is followed, cameras that alternate are not.

    Each change makes the engines, the mounting and the history begin anew.
    """

    def __init__(self) -> None:
        self._newest: CameraModel | None = None
        self._changes: deque[tuple[float, CameraModel, CameraModel]] = deque()

    def take(self, camera: CameraModel) -> None:
        """Take the newest calibration."""
        before, self._newest = self._newest, camera
        if before is not None and not camera.is_same(before):
            self._changes.append((time.monotonic(), before, camera))

    @property
    def settled(self) -> CameraModel | None:
        """The newest calibration; None while cameras alternate."""
        return None if self._are_many() else self._newest

    @property
    def fault(self) -> str:
        """Cameras that alternate, with the remedy; "" = none do."""
        if not self._are_many():
            return ""
        _, a, b = self._changes[-1]
        return (
            f"camera_info alternates between {_differing(a, b)} ({len(self._changes)} changes in "
            f"{WINDOW_S:.0f} s) and is not followed: remap image and camera_info to those of one "
            "camera, or have the driver describe one with one frame id"
        )

    def _are_many(self) -> bool:
        while self._changes and time.monotonic() - self._changes[0][0] > WINDOW_S:
            self._changes.popleft()
        return len(self._changes) > CHANGES


def _differing(a: CameraModel, b: CameraModel) -> str:
    """What distinguishes two cameras first of all."""
    if a.frame_id != b.frame_id:
        return f"frames {a.frame_id!r} and {b.frame_id!r}"
    if (a.width, a.height) != (b.width, b.height):
        return f"images of {a.width}x{a.height} and {b.width}x{b.height}"
    return f"lenses of {a.K[0, 0]:.4g} and {b.K[0, 0]:.4g} pixels focal length"


class ImageFrames:
    """Frames of the images, which one camera does not change."""

    def __init__(self) -> None:
        self._newest: str | None = None
        self._changes: deque[tuple[float, str]] = deque(maxlen=1000)

    def take(self, frame: str) -> None:
        """Take the frame of the newest image."""
        before, self._newest = self._newest, frame
        if before is not None and before != frame:
            self._changes.append((time.monotonic(), before))

    def fault(self, camera_frame: str | None) -> str:
        """Frames that alternate, are empty or not those of camera_info (None = unknown)."""
        while self._changes and time.monotonic() - self._changes[0][0] > WINDOW_S:
            self._changes.popleft()
        if len(self._changes) <= CHANGES:
            return frame_fault(self._newest, camera_frame)
        return (
            f"images alternate between frames {self._changes[-1][1]!r} and {self._newest!r} "
            f"({len(self._changes)} changes in {WINDOW_S:.0f} s), and motion between two cameras "
            "is none: remap image to the topic of one camera, or set one frame id in the driver"
        )


class VelocityFrames:
    """Frames that velocities are given in, other than ``base_frame``."""

    def __init__(self, base_frame: str) -> None:
        self._base_frame, self._others = base_frame, ""
        self._known = {"", base_frame}

    def take(self, frame: str) -> None:
        """Take the frame of a velocity; "" = base_frame."""
        if frame in self._known or len(self._known) > FRAMES:
            return
        self._known.add(frame)
        self._others = ", ".join(sorted(self._known - {"", self._base_frame}))
        _logger.warning("%s", self.remark)

    def fault(self, camera_frame: str | None) -> str:
        """Velocities of the camera itself, whose axes are others; "" = there are none."""
        if not camera_frame or camera_frame == self._base_frame or camera_frame not in self._known:
            return ""
        return (
            f"velocities are given in {camera_frame}, the camera's frame, whose z looks ahead: "
            f"publish them in base_frame ({self._base_frame}), whose x looks ahead"
        )

    @property
    def remark(self) -> str:
        """Frames that were taken for base_frame, with the remedy; "" while none was."""
        if not self._others:
            return ""
        return (
            f"velocities are given in {self._others} and taken as if that were base_frame "
            f"({self._base_frame}): publish them in it, or set base_frame"
        )


class LossShare:
    """Share of the images that were lost in transport, over the newest ten seconds."""

    def __init__(self) -> None:
        self.is_high = False  # Whether something should be done about it
        self._counts: deque[tuple[float, int, int]] = deque()

    def fault(self, received: int, lost: int, topic: str) -> str:
        """Take the counts so far; called once a second. "" = few are lost."""
        now = time.monotonic()
        self._counts.append((now, received, lost))
        while now - self._counts[0][0] > WINDOW_S:
            self._counts.popleft()
        _, received_before, lost_before = self._counts[0]
        lost -= lost_before
        sent = received - received_before + lost
        self.is_high = sent >= FEW and lost >= MUCH * sent
        if sent < FEW or lost < max(2.0, MUCH * sent):  # one is no habit
            return ""
        return f"{lost} of {sent} images on {topic} were lost in transport: {CARRY_REMEDY}"


def why_nothing_arrives(publishers: Iterable[Any], waited_s: float, is_image: bool) -> str:
    """Reason for a topic of the right type from which nothing has come."""
    if waited_s < 3.0:
        return " yet"
    names = ", ".join(sorted({publisher.node_name for publisher in publishers}))
    if not is_image:
        return f" yet (look at its publisher, {names})"
    return f" yet (its publisher {names} sends none, or they are too large: {CARRY_REMEDY})"
