# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conversion between rclpy's messages and values: ``messages`` with ROS classes and cv_bridge.

``data`` of outgoing messages is always an ``array.array``: rclpy takes that by reference, where an
ndarray of 2.8 MB costs 156 ms of per-element checks.
"""

from __future__ import annotations

import array
import functools
import importlib
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from sfm_depth_ros import messages, optional
from sfm_depth_ros.camera.camera_model import MAX_PIXELS, CameraModel
from sfm_depth_ros.camera.image_codec import WHITE_LEVEL, decode_image, depth_pixels
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.message_builder import MessageBuilder
from sfm_depth_ros.messages import (
    camera_info_to_model,
    stamp_to_ns,
    velocity_frame,
    velocity_of,
)

__all__ = [
    "array_to_image", "camera_info_to_model", "depth_pixels", "header_at", "image_to_rgb",
    "intrinsics_to_camera_info", "ns_to_stamp", "odometry_message", "points_to_cloud",
    "stamp_to_ns", "transform_message", "twist_message", "velocity_frame", "velocity_of",
]  # fmt: skip


@functools.lru_cache(maxsize=64)
def _message_class(type_name: str) -> Any:
    package, _, name = type_name.partition("/msg/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


def _as_array(values: np.ndarray) -> array.array[Any]:
    """A one-dimensional ndarray, copied once."""
    packed = array.array(values.dtype.char)
    packed.frombytes(np.ascontiguousarray(values).view(np.uint8).data)
    return packed


_BUILDER = MessageBuilder(_message_class, _as_array)
header_at = _BUILDER.header
ns_to_stamp = _BUILDER.time
array_to_image = _BUILDER.image
odometry_message = _BUILDER.odometry
points_to_cloud = _BUILDER.point_cloud
twist_message = _BUILDER.twist_with_covariance
transform_message = _BUILDER.transform


def intrinsics_to_camera_info(intrinsics: Intrinsics, header: Header) -> CameraInfo:
    """Calibration of a rectified image."""
    return _BUILDER.camera_info(CameraModel.from_intrinsics(intrinsics), header)


def image_to_rgb(
    message: Image | CompressedImage,
    white_level: int = WHITE_LEVEL,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Pixels of a raw or compressed image, ``(H, W, 3)`` uint8 RGB.

    rgb8 is a view of the message. Encodings that the package does not know go through
    ``cv_bridge`` where that is installed and works. For the limits see ``messages``.

    Raises:
        DataError: The encoding is unknown, or the data does not fit the message's other fields.
    """
    try:
        return messages.image_to_rgb(message, white_level, max_pixels)
    except DataError as error:
        is_raw = isinstance(message, Image)
        if not (is_raw and _is_unknown(message.encoding) and optional.is_available("cv_bridge")):
            raise
        return _through_cv_bridge(message, error)


@functools.lru_cache(maxsize=64)
def _is_unknown(encoding: str) -> bool:
    try:
        decode_image(encoding, bytes(64), 2, 2, 32)
    except DataError as error:
        return "is not known" in str(error)
    return False


def _through_cv_bridge(message: Image, reason: DataError) -> np.ndarray:
    try:
        bridge = optional.require("cv_bridge").CvBridge()
        return np.asarray(bridge.imgmsg_to_cv2(message, "rgb8"))
    except Exception as error:  # its compiled part fails in many ways under NumPy 2 and OpenCV 5
        text = f"{reason}; cv_bridge is installed but failed too ({type(error).__name__}: {error})"
        raise DataError(text) from error
