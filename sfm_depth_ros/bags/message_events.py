# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded messages to typed events, by the fields that ROS 2 messages have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sfm_depth_ros.bags.events import (
    CameraInfoEvent,
    CompanionEvent,
    DepthTruthEvent,
    Event,
    ImageEvent,
    PoseTruthEvent,
    RightCameraInfoEvent,
    TransformEvent,
    VelocityEvent,
)
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_codec import (
    decode_compressed,
    decode_compressed_depth,
    decode_depth,
    decode_image,
    decode_labels,
)
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.frames import pose_to_matrix
from sfm_depth_ros.snippets.values import Velocity


def message_events(role: str, time_ns: int, topic: str, message: Any) -> Iterator[Event]:
    """Events of one message.

    Args:
        role: What the topic is for: a field's name of BagTopics.
        time_ns: Bag time in nanoseconds.
        topic: Topic name.
        message: The message, with the fields of its ROS type.

    Raises:
        DataError: The message's content is impossible.
    """
    return _PARSERS[role][1](time_ns, topic, message)


def event_kind(role: str) -> type:
    """Class of the events that a role's messages give."""
    return _PARSERS[role][0]


def stamp_ns(header: Any) -> int:
    """A header's stamp in nanoseconds."""
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


def _image(time_ns: int, topic: str, message: Any) -> Iterator[Event]:
    header = message.header
    if hasattr(message, "format"):
        encoding = message.format

        def decode() -> np.ndarray:
            return decode_compressed(message.format, message.data)
    else:
        encoding = message.encoding

        def decode() -> np.ndarray:
            return decode_image(*_raw_fields(message))

    yield ImageEvent(time_ns, stamp_ns(header), header.frame_id, topic, encoding, decode)


def _depth_truth(time_ns: int, topic: str, message: Any) -> Iterator[Event]:
    def decode() -> np.ndarray:
        if hasattr(message, "format"):
            return decode_compressed_depth(message.format, message.data)
        return decode_depth(*_raw_fields(message))

    yield DepthTruthEvent(time_ns, stamp_ns(message.header), decode)


def _raw_fields(message: Any) -> tuple[str, Any, int, int, int, bool]:
    return (
        message.encoding,
        message.data,
        message.height,
        message.width,
        message.step,
        bool(message.is_bigendian),
    )


def _right_image(time_ns: int, topic: str, message: Any) -> Iterator[Event]:
    for event in _image(time_ns, topic, message):
        assert isinstance(event, ImageEvent)  # that is what it makes
        yield CompanionEvent(time_ns, event.stamp_ns, "right_image", event.decoder)


def _sparse_depth(time_ns: int, topic: str, message: Any) -> Iterator[Event]:
    for event in _depth_truth(time_ns, topic, message):
        assert isinstance(event, DepthTruthEvent)  # that is what it makes
        yield CompanionEvent(time_ns, event.stamp_ns, "sparse_depth", event.decoder)


def _instance_mask(time_ns: int, topic: str, message: Any) -> Iterator[Event]:
    def decode() -> np.ndarray:
        if hasattr(message, "format"):
            return decode_compressed(message.format, message.data)[..., 0]
        return decode_labels(*_raw_fields(message))

    yield CompanionEvent(time_ns, stamp_ns(message.header), "instance_mask", decode)


def _camera_info(time_ns: int, topic: str, message: Any) -> Iterator[Event]:
    yield CameraInfoEvent(time_ns, _camera(message))


def _right_camera_info(time_ns: int, topic: str, message: Any) -> Iterator[Event]:
    yield RightCameraInfoEvent(time_ns, _camera(message))


def _camera(message: Any) -> CameraModel:
    return CameraModel.from_matrices(
        message.k,
        message.width,
        message.height,
        D=message.d,
        model=message.distortion_model,
        R=message.r,
        P=message.p,
        frame_id=message.header.frame_id,
    )


def _velocity(time_ns: int, topic: str, message: Any) -> Iterator[Event]:
    # Odometry's twist is in the child frame, a stamped twist's in the header's (REP 105)
    frame_id = getattr(message, "child_frame_id", "") or message.header.frame_id
    twist = message.twist
    twist = getattr(twist, "twist", twist)  # with covariance: one level deeper
    velocity = Velocity(stamp_ns(message.header), _xyz(twist.linear), _xyz(twist.angular))
    if not np.isfinite([velocity.linear, velocity.angular]).all():
        raise DataError("velocity holds NaN or infinity: check the odometry's publisher")
    yield VelocityEvent(time_ns, velocity, frame_id)


def _transforms(time_ns: int, topic: str, message: Any) -> Iterator[Event]:
    for stamped in message.transforms:
        transform = stamped.transform
        T = _matrix(transform.translation, transform.rotation)
        yield TransformEvent(time_ns, stamped.header.frame_id, stamped.child_frame_id, T)


def _pose_truth(time_ns: int, topic: str, message: Any) -> Iterator[Event]:
    pose = message.pose.pose
    T = _matrix(pose.position, pose.orientation)
    yield PoseTruthEvent(time_ns, stamp_ns(message.header), T)


def _matrix(position: Any, orientation: Any) -> np.ndarray:
    q = orientation
    try:
        return pose_to_matrix([*_xyz(position), q.x, q.y, q.z, q.w])
    except ValueError as error:
        raise DataError(f"a pose is impossible: {error}") from error


def _xyz(vector: Any) -> np.ndarray:
    return np.array([vector.x, vector.y, vector.z], np.float64)


_Parser = Callable[[int, str, Any], Iterator[Event]]
_PARSERS: dict[str, tuple[type, _Parser]] = {
    "image": (ImageEvent, _image),
    "camera_info": (CameraInfoEvent, _camera_info),
    "velocity": (VelocityEvent, _velocity),
    "tf_static": (TransformEvent, _transforms),
    "depth_truth": (DepthTruthEvent, _depth_truth),
    "pose_truth": (PoseTruthEvent, _pose_truth),
    "right_image": (CompanionEvent, _right_image),
    "right_camera_info": (RightCameraInfoEvent, _right_camera_info),
    "sparse_depth": (CompanionEvent, _sparse_depth),
    "instance_mask": (CompanionEvent, _instance_mask),
}
ROLES = tuple(_PARSERS)
