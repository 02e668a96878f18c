# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS messages to values, one conversion for bags and for live topics.

Messages are read by the fields of their ROS type, which rclpy's classes and those of rosbags have
in common; neither library is imported here.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from sfm_depth_ros.camera.camera_model import MAX_PIXELS, CameraModel, is_rectified_topic
from sfm_depth_ros.camera.image_codec import (
    WHITE_LEVEL,
    decode_depth,
    decode_image,
    decode_labels,
)
from sfm_depth_ros.camera.image_files import decode_compressed, decode_compressed_depth
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.frames import pose_to_matrix
from sfm_depth_ros.snippets.values import Velocity

# A serialised message begins with four bytes on its format; a leading header's stamp comes next.
STAMP_BEGIN, STAMP_END = 4, 12
FASTEST = 1e5  # m/s and rad/s; a fast car in mm/s stays below, so that its unit can be named


def stamp_to_ns(stamp: Any) -> int:
    """Nanoseconds of a ``builtin_interfaces/Time``."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def serialised_stamp(cdr: bytes) -> int:
    """Nanoseconds of a serialised message that begins with a header.

    Raises:
        DataError: The message is shorter than a stamp.
    """
    if len(cdr) < STAMP_END:
        raise DataError(f"a message of {len(cdr)} bytes has no stamp: it is damaged")
    seconds, nanoseconds = struct.unpack_from(stamp_layout(cdr), cdr, STAMP_BEGIN)
    return int(seconds * 10**9 + nanoseconds)


def stamp_layout(cdr: bytes) -> str:
    """``struct`` format of a serialised message's stamp, in its byte order."""
    return ("<" if cdr[1] & 1 else ">") + "iI"


def image_to_rgb(
    message: Any, white_level: int = WHITE_LEVEL, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Pixels of an ``Image`` or ``CompressedImage``, ``(H, W, 3)`` uint8 RGB.

    rgb8 is a view of the message's data.

    Args:
        message: The image.
        white_level: Value of white in 16-bit encodings, 4095 of a camera with 12 bits.
        max_pixels: Largest image that is decoded.

    Raises:
        DataError: The encoding is unknown, or the data does not fit the message's other fields.
    """
    if hasattr(message, "format"):
        return decode_compressed(message.format, message.data, max_pixels, white_level)
    if message.height * message.width > max_pixels:
        raise DataError(
            f"image of {message.width}x{message.height} is refused, expected at most {max_pixels} "
            "pixels: look at the camera driver, or raise max_pixels"
        )
    return decode_image(*_raw_fields(message), white_level)


def depth_to_metres(message: Any) -> np.ndarray:
    """Depth of an ``Image`` or ``CompressedImage``, ``(H, W)`` float32 metres, 0 = unknown.

    Raises:
        DataError: The encoding is no depth, or the data does not fit the message's other fields.
    """
    if hasattr(message, "format"):
        return decode_compressed_depth(message.format, message.data)
    return decode_depth(*_raw_fields(message))


def mask_to_labels(message: Any) -> np.ndarray:
    """Instance labels of an ``Image`` or ``CompressedImage``, ``(H, W)`` uint8, 0 = static.

    Raises:
        DataError: The encoding is no mask, or the data does not fit the message's other fields.
    """
    if hasattr(message, "format"):
        return decode_compressed(message.format, message.data)[..., 0]
    return decode_labels(*_raw_fields(message))


def _raw_fields(message: Any) -> tuple[str, Any, int, int, int, bool]:
    size = (message.height, message.width, message.step)
    return (message.encoding, message.data, *size, bool(message.is_bigendian))


def camera_info_to_model(message: Any, image_topic: str = "") -> CameraModel:
    """Calibration of the image as it is sent, binning and region of interest included.

    Args:
        message: ``CameraInfo``.
        image_topic: Topic of the images; under the name ``image_rect`` they are rectified, while
            K and D are still the raw image's.

    Raises:
        DataError: A size or focal length is not positive, or R is not a rotation.
    """
    roi = message.roi
    origin = np.array([roi.x_offset, roi.y_offset], np.float64)
    binning = np.array([max(message.binning_x, 1), max(message.binning_y, 1)], np.float64)
    K = np.array(message.k, np.float64).reshape(3, 3)
    P = np.array(message.p, np.float64).reshape(3, 4)
    for matrix in (K, P):
        matrix[:2, 2] -= origin * (matrix[0, 0] != 0)
        matrix[:2] /= binning[:, None]
    camera = CameraModel.from_matrices(
        K,
        int((roi.width or message.width) / binning[0]),
        int((roi.height or message.height) / binning[1]),
        D=np.array(message.d, np.float64),
        model=message.distortion_model,
        R=np.array(message.r, np.float64),
        P=P,
        frame_id=message.header.frame_id,
    )
    return camera.of_rectified_stream() if is_rectified_topic(image_topic) else camera


def velocity_of(message: Any) -> Velocity:
    """Body velocity of an ``Odometry``, ``TwistStamped`` or ``TwistWithCovarianceStamped``.

    Raises:
        DataError: A component is NaN, infinite, or beyond anything that moves.
    """
    twist = getattr(message.twist, "twist", message.twist)  # with covariance: one level deeper
    linear, angular = _xyz(twist.linear), _xyz(twist.angular)
    if not np.isfinite([linear, angular]).all():
        raise DataError(
            f"velocity is {linear.tolist()} m/s, {angular.tolist()} rad/s: expected finite "
            "numbers, check the odometry's publisher"
        )
    if max(np.abs(linear).max(), np.abs(angular).max()) > FASTEST:
        raise DataError(
            f"velocity is {linear.tolist()} m/s, {angular.tolist()} rad/s: nothing moves so fast, "
            "check the odometry's publisher"
        )
    return Velocity(stamp_to_ns(message.header.stamp), linear, angular)


def velocity_frame(message: Any) -> str:
    """Frame of a velocity (REP 105): an odometry's child frame, a stamped twist's header frame."""
    return str(getattr(message, "child_frame_id", message.header.frame_id))


def pose_of(message: Any) -> np.ndarray:
    """``(4, 4)`` metres of a ``Pose`` or ``Transform``.

    Raises:
        DataError: The quaternion is zero, or a component is not finite.
    """
    is_pose = hasattr(message, "position")
    position = message.position if is_pose else message.translation
    q = message.orientation if is_pose else message.rotation
    try:
        T = pose_to_matrix([*_xyz(position), q.x, q.y, q.z, q.w])
    except ValueError as error:
        raise DataError(f"a pose is impossible: {error}; check its publisher") from error
    if not np.isfinite(T).all():
        raise DataError("a position holds NaN or infinity: check its publisher")
    return T


def _xyz(vector: Any) -> np.ndarray:
    return np.array([vector.x, vector.y, vector.z], np.float64)
