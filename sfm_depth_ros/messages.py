# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conversion between ROS messages and values, one for bags and for live topics.

Messages are read and built by the fields of their ROS type, which rclpy's classes and those of
rosbags have in common; neither library is imported here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from sfm_depth_ros.camera.camera_model import MAX_PIXELS, CameraModel, is_rectified_topic
from sfm_depth_ros.camera.image_codec import (
    WHITE_LEVEL,
    decode_depth,
    decode_image,
    decode_labels,
    message_pixels,
)
from sfm_depth_ros.camera.image_files import decode_compressed, decode_compressed_depth
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.frames import matrix_to_pose, pose_to_matrix
from sfm_depth_ros.snippets.values import Velocity

# A serialised message begins with four bytes on its format; a leading header's stamp comes next.
STAMP_BEGIN, STAMP_END = 4, 12
_PLUMB_BOB_COEFFICIENTS = 5


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
        max_pixels: Largest compressed image that is decoded.

    Raises:
        DataError: The encoding is unknown, or the data does not fit the message's other fields.
    """
    if hasattr(message, "format"):
        return decode_compressed(message.format, message.data, max_pixels)
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
        DataError: A component is NaN or infinite.
    """
    twist = getattr(message.twist, "twist", message.twist)  # with covariance: one level deeper
    linear, angular = _xyz(twist.linear), _xyz(twist.angular)
    if not np.isfinite([linear, angular]).all():
        raise DataError(
            f"velocity is {linear.tolist()} m/s, {angular.tolist()} rad/s: expected finite "
            "numbers, check the odometry's publisher"
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
        return pose_to_matrix([*_xyz(position), q.x, q.y, q.z, q.w])
    except ValueError as error:
        raise DataError(f"a pose is impossible: {error}; check its publisher") from error


def _xyz(vector: Any) -> np.ndarray:
    return np.array([vector.x, vector.y, vector.z], np.float64)


class MessageBuilder:
    """Builds messages from values.

    Args:
        message_class: Looks a class up by its ROS name, for example ``"sensor_msgs/msg/Image"``.
        pack: Packs a one-dimensional array into what the classes take for sequences.
    """

    def __init__(
        self, message_class: Callable[[str], Any], pack: Callable[[np.ndarray], Any]
    ) -> None:
        self._class, self._pack = message_class, pack

    def new(self, type_name: str, **fields: Any) -> Any:
        """A message of any type with the given fields."""
        return self._class(type_name)(**fields)

    def time(self, stamp_ns: int) -> Any:
        """``builtin_interfaces/Time`` of nanoseconds."""
        seconds, nanoseconds = divmod(int(stamp_ns), 10**9)
        return self.new("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)

    def header(self, stamp_ns: int, frame_id: str) -> Any:
        """``std_msgs/Header``."""
        return self.new("std_msgs/msg/Header", stamp=self.time(stamp_ns), frame_id=frame_id)

    def image(self, pixels: np.ndarray, encoding: str, header: Any) -> Any:
        """``sensor_msgs/Image``.

        Args:
            pixels: ``(H, W)`` or ``(H, W, 3)``.
            encoding: rgb8, bgr8, mono8, 16UC1 or 32FC1.
            header: Header of the message.

        Raises:
            ValueError: The array's shape does not fit the encoding.
        """
        pixels = message_pixels(pixels, encoding)
        return self.new(
            "sensor_msgs/msg/Image",
            header=header,
            height=pixels.shape[0],
            width=pixels.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=pixels.strides[0],
            data=self._pack(pixels.reshape(-1).view(np.uint8)),
        )

    def compressed_image(self, data: bytes, format: str, header: Any) -> Any:
        """``sensor_msgs/CompressedImage`` of a JPEG's or PNG's bytes."""
        packed = self._pack(np.frombuffer(data, np.uint8))
        return self.new(
            "sensor_msgs/msg/CompressedImage", header=header, format=format, data=packed
        )

    def camera_info(self, camera: CameraModel, header: Any) -> Any:
        """``sensor_msgs/CameraInfo``, without binning and region of interest."""
        region = self.new(
            "sensor_msgs/msg/RegionOfInterest",
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False,
        )  # fmt: skip
        D = camera.D
        if not D.size and camera.model == "plumb_bob":
            D = np.zeros(_PLUMB_BOB_COEFFICIENTS)
        return self.new(
            "sensor_msgs/msg/CameraInfo",
            header=header,
            height=camera.height,
            width=camera.width,
            distortion_model=camera.model,
            d=self._pack(D),
            k=camera.K.flatten(),
            r=camera.R.flatten(),
            p=camera.P.flatten(),
            binning_x=0,
            binning_y=0,
            roi=region,
        )

    def odometry(
        self,
        header: Any,
        child_frame_id: str,
        T_frame_child: np.ndarray,
        pose_covariance: np.ndarray | None,
        twist: np.ndarray,
        twist_covariance: np.ndarray | None,
    ) -> Any:
        """``nav_msgs/Odometry``.

        Args:
            header: Stamp, and the frame of the pose.
            child_frame_id: The moving frame, in which the twist is given.
            T_frame_child: ``(4, 4)`` pose, metres.
            pose_covariance: ``(6, 6)``; None = unknown.
            twist: ``(6,)`` linear m/s and angular rad/s.
            twist_covariance: ``(6, 6)``; None = unknown.
        """
        pose = self.new(
            "geometry_msgs/msg/PoseWithCovariance",
            pose=self._pose(T_frame_child),
            covariance=_flat(pose_covariance),
        )
        return self.new(
            "nav_msgs/msg/Odometry",
            header=header,
            child_frame_id=child_frame_id,
            pose=pose,
            twist=self._twist_with_covariance(twist, twist_covariance),
        )

    def twist_with_covariance(
        self, header: Any, twist: np.ndarray, covariance: np.ndarray | None = None
    ) -> Any:
        """``geometry_msgs/TwistWithCovarianceStamped`` of ``(6,)`` in the header's frame."""
        stamped = self._twist_with_covariance(twist, covariance)
        return self.new(
            "geometry_msgs/msg/TwistWithCovarianceStamped", header=header, twist=stamped
        )

    def twist(self, header: Any, twist: np.ndarray) -> Any:
        """``geometry_msgs/TwistStamped`` of ``(6,)`` in the header's frame."""
        return self.new("geometry_msgs/msg/TwistStamped", header=header, twist=self._twist(twist))

    def transform(self, header: Any, child_frame_id: str, T_frame_child: np.ndarray) -> Any:
        """``geometry_msgs/TransformStamped`` of ``(4, 4)`` metres."""
        pose = matrix_to_pose(T_frame_child)
        transform = self.new(
            "geometry_msgs/msg/Transform",
            translation=self._vector(pose[:3]),
            rotation=self._quaternion(pose[3:]),
        )
        return self.new(
            "geometry_msgs/msg/TransformStamped",
            header=header, child_frame_id=child_frame_id, transform=transform,
        )  # fmt: skip

    def _pose(self, T: np.ndarray) -> Any:
        x, y, z, *quaternion = (float(number) for number in matrix_to_pose(T))
        point = self.new("geometry_msgs/msg/Point", x=x, y=y, z=z)
        orientation = self._quaternion(np.array(quaternion))
        return self.new("geometry_msgs/msg/Pose", position=point, orientation=orientation)

    def _twist_with_covariance(self, twist: np.ndarray, covariance: np.ndarray | None) -> Any:
        return self.new(
            "geometry_msgs/msg/TwistWithCovariance",
            twist=self._twist(twist),
            covariance=_flat(covariance),
        )

    def _twist(self, twist: np.ndarray) -> Any:
        linear, angular = self._vector(twist[:3]), self._vector(twist[3:])
        return self.new("geometry_msgs/msg/Twist", linear=linear, angular=angular)

    def _vector(self, xyz: np.ndarray) -> Any:
        x, y, z = (float(number) for number in xyz)
        return self.new("geometry_msgs/msg/Vector3", x=x, y=y, z=z)

    def _quaternion(self, xyzw: np.ndarray) -> Any:
        x, y, z, w = (float(number) for number in xyzw)
        return self.new("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)


def _flat(covariance: np.ndarray | None) -> np.ndarray:
    """``(36,)`` float64; zeros mean unknown."""
    return np.zeros(36) if covariance is None else np.asarray(covariance, np.float64).reshape(36)
