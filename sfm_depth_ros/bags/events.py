# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Typed events of a bag; images are decoded on demand.

``time_ns`` is bag time (when it was recorded), ``stamp_ns`` the header's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_codec import WHITE_LEVEL
from sfm_depth_ros.config.extra_inputs import SPARSE_DEPTH
from sfm_depth_ros.messages import (
    camera_info_to_model,
    depth_to_metres,
    image_to_rgb,
    mask_to_labels,
    pose_of,
    stamp_to_ns,
    velocity_frame,
    velocity_of,
)
from sfm_depth_ros.snippets.values import Velocity


@dataclass(frozen=True)
class ImageEvent:
    """A camera image, raw or compressed (``encoding`` is then the message's format)."""

    time_ns: int
    stamp_ns: int
    frame_id: str
    encoding: str
    decoder: Callable[[int], np.ndarray] = field(repr=False, compare=False)

    def decode(self, white_level: int = WHITE_LEVEL) -> np.ndarray:
        """``(H, W, 3)`` uint8, RGB; raises DataError where the message is damaged."""
        return self.decoder(white_level)


@dataclass(frozen=True)
class CameraInfoEvent:
    """A calibration."""

    time_ns: int
    camera: CameraModel


@dataclass(frozen=True)
class VelocityEvent:
    """A body velocity, given in ``frame_id``."""

    time_ns: int
    velocity: Velocity
    frame_id: str


@dataclass(frozen=True)
class TransformEvent:
    """A static transform: ``T_parent_child`` ``(4, 4)`` metres, pose of child in parent."""

    time_ns: int
    parent: str
    child: str
    T_parent_child: np.ndarray


@dataclass(frozen=True)
class DepthTruthEvent:
    """True depth of the image with the same stamp."""

    time_ns: int
    stamp_ns: int
    decoder: Callable[[], np.ndarray] = field(repr=False, compare=False)

    @property
    def depth(self) -> np.ndarray:
        """``(H, W)`` float32 metres, 0 = unknown; decoded at each call."""
        return self.decoder()


@dataclass(frozen=True)
class RightCameraInfoEvent:
    """A calibration of the second camera; ``P[0, 3]`` is minus focal length times baseline."""

    time_ns: int
    camera: CameraModel


@dataclass(frozen=True)
class CompanionEvent:
    """Data of another sensor at the moment of the image with the same stamp.

    ``role`` is ``RIGHT_IMAGE`` (``(H, W, 3)`` uint8, RGB), ``SPARSE_DEPTH`` (``(H, W)`` float32
    metres, 0 = unknown) or ``INSTANCE_MASK`` (``(H, W)`` uint8, 0 = static).
    """

    time_ns: int
    stamp_ns: int
    role: str
    decoder: Callable[[], np.ndarray] = field(repr=False, compare=False)

    def decode(self) -> np.ndarray:
        """The data; raises DataError where the message is damaged."""
        return self.decoder()


@dataclass(frozen=True)
class PoseTruthEvent:
    """True pose of the base in a world frame, ``(4, 4)`` metres."""

    time_ns: int
    stamp_ns: int
    T_world_base: np.ndarray


Event = (
    ImageEvent
    | CameraInfoEvent
    | VelocityEvent
    | TransformEvent
    | DepthTruthEvent
    | PoseTruthEvent
    | RightCameraInfoEvent
    | CompanionEvent
)


_Parser = Callable[[int, str, Any], Iterator[Event]]


def message_events(role: str, time_ns: int, image_topic: str, message: Any) -> Iterator[Event]:
    """Events of one message.

    Args:
        role: Role of the topic: a field's name of BagTopics.
        time_ns: Bag time in nanoseconds.
        image_topic: Topic of the images that a calibration belongs to.
        message: The message, with the fields of its ROS type.

    Raises:
        DataError: The message's content is impossible.
    """
    return _PARSERS[role][1](time_ns, image_topic, message)


def event_kind(role: str) -> type:
    """Class of the events that a role's messages give."""
    return _PARSERS[role][0]


def _image(time_ns: int, image_topic: str, message: Any) -> Iterator[Event]:
    header = message.header
    encoding = message.format if hasattr(message, "format") else message.encoding
    decode = partial(image_to_rgb, message)
    stamp_ns = stamp_to_ns(header.stamp)
    yield ImageEvent(time_ns, stamp_ns, header.frame_id, encoding, decode)


def _depth_truth(time_ns: int, image_topic: str, message: Any) -> Iterator[Event]:
    stamp_ns = stamp_to_ns(message.header.stamp)
    yield DepthTruthEvent(time_ns, stamp_ns, partial(depth_to_metres, message))


def _companion(role: str, decode: Callable[[Any], np.ndarray]) -> _Parser:
    def parse(time_ns: int, image_topic: str, message: Any) -> Iterator[Event]:
        stamp_ns = stamp_to_ns(message.header.stamp)
        yield CompanionEvent(time_ns, stamp_ns, role, partial(decode, message))

    return parse


def _camera_info(time_ns: int, image_topic: str, message: Any) -> Iterator[Event]:
    yield CameraInfoEvent(time_ns, camera_info_to_model(message, image_topic))


def _right_camera_info(time_ns: int, image_topic: str, message: Any) -> Iterator[Event]:
    yield RightCameraInfoEvent(time_ns, camera_info_to_model(message, image_topic))


def _velocity(time_ns: int, image_topic: str, message: Any) -> Iterator[Event]:
    yield VelocityEvent(time_ns, velocity_of(message), velocity_frame(message))


def _transforms(time_ns: int, image_topic: str, message: Any) -> Iterator[Event]:
    for stamped in message.transforms:
        T = pose_of(stamped.transform)
        yield TransformEvent(time_ns, stamped.header.frame_id, stamped.child_frame_id, T)


def _pose_truth(time_ns: int, image_topic: str, message: Any) -> Iterator[Event]:
    stamp_ns = stamp_to_ns(message.header.stamp)
    yield PoseTruthEvent(time_ns, stamp_ns, pose_of(message.pose.pose))


_PARSERS: dict[str, tuple[type, _Parser]] = {
    "image": (ImageEvent, _image),
    "camera_info": (CameraInfoEvent, _camera_info),
    "velocity": (VelocityEvent, _velocity),
    "tf_static": (TransformEvent, _transforms),
    "depth_truth": (DepthTruthEvent, _depth_truth),
    "pose_truth": (PoseTruthEvent, _pose_truth),
    "right_image": (CompanionEvent, _companion("right_image", image_to_rgb)),
    "right_camera_info": (RightCameraInfoEvent, _right_camera_info),
    SPARSE_DEPTH: (CompanionEvent, _companion(SPARSE_DEPTH, depth_to_metres)),
    "instance_mask": (CompanionEvent, _companion("instance_mask", mask_to_labels)),
}
ROLES = tuple(_PARSERS)
