# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS messages to the core's values, and back: images, calibration, velocities, motion.

``data`` of outgoing messages is always an ``array.array``: rclpy takes that by reference, where an
ndarray of 2.8 MB costs 156 ms of per-element checks.
"""

from __future__ import annotations

import array
import functools
import sys
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped, TwistWithCovarianceStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header

from sfm_depth_ros import optional
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_codec import decode_compressed, decode_image
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import matrix_to_pose
from sfm_depth_ros.snippets.values import Velocity

_PIXEL_TYPES: dict[str, np.dtype[Any]] = {
    "32FC1": np.dtype("<f4"),
    "16UC1": np.dtype("<u2"),
    "rgb8": np.dtype("u1"),
}
_POINT_FIELD_TYPES = {"f4": PointField.FLOAT32, "u4": PointField.UINT32, "u1": PointField.UINT8}


def stamp_to_ns(stamp: Time) -> int:
    """A message's stamp in nanoseconds."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def ns_to_stamp(stamp_ns: int) -> Time:
    """Nanoseconds as a message's stamp."""
    seconds, nanoseconds = divmod(int(stamp_ns), 10**9)
    return Time(sec=seconds, nanosec=nanoseconds)


def header_at(stamp_ns: int, frame_id: str) -> Header:
    """A header."""
    return Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame_id)


def as_byte_array(values: np.ndarray) -> array.array[int]:
    """The bytes of an ndarray, copied once."""
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return data


def image_to_rgb(message: Image | CompressedImage) -> np.ndarray:
    """Pixels of a raw or compressed image, ``(H, W, 3)`` uint8 RGB.

    rgb8 is a view of the message. Encodings that the package does not know go through
    ``cv_bridge`` where that is installed and works.

    Raises:
        DataError: The encoding is unknown, or the bytes do not fit what the message says.
    """
    data = np.frombuffer(message.data, np.uint8)
    if isinstance(message, CompressedImage):
        return decode_compressed(message.format, data)
    size = (message.height, message.width, message.step)
    try:
        return decode_image(message.encoding, data, *size, bool(message.is_bigendian))
    except DataError as error:
        if not _is_unknown_here(message.encoding) or not optional.is_available("cv_bridge"):
            raise
        return _through_cv_bridge(message, error)


@functools.lru_cache(maxsize=64)
def _is_unknown_here(encoding: str) -> bool:
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


def array_to_image(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """An image message.

    Args:
        pixels: ``(H, W)`` or ``(H, W, 3)`` of the encoding's type.
        encoding: ``32FC1``, ``16UC1`` or ``rgb8``.
        header: Header of the image that this one belongs to.
    """
    pixels = pixels.astype(_PIXEL_TYPES[encoding], copy=False)
    height, width = pixels.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=encoding)
    message.step = pixels.itemsize * pixels[0].size
    message.data = as_byte_array(pixels)
    return message


def depth_pixels(depth: np.ndarray, encoding: str) -> np.ndarray:
    """Pixels of a depth image (REP 118): metres as they are, or millimetres with 0 = unknown.

    Args:
        depth: ``(H, W)`` float32 metres; NaN invalid, +Inf beyond range.
        encoding: ``32FC1``, or ``16UC1``, which cannot say more than 65.5 m.

    Returns:
        ``(H, W)`` of the encoding's type.
    """
    if encoding == "16UC1":
        millimetres = np.rint(depth * np.float32(1e3))
        is_known = (millimetres > 0) & (millimetres < 65536)
        depth = np.where(is_known, millimetres, np.float32(0))
    return depth.astype(_PIXEL_TYPES[encoding], copy=False)


def camera_info_to_model(message: CameraInfo) -> CameraModel:
    """Calibration of the image as the driver sends it, binning and region of interest included.

    Raises:
        DataError: A focal length or size is zero or negative, or a matrix is none.
    """
    roi = message.roi
    origin = np.array([roi.x_offset, roi.y_offset], np.float64)
    binning = np.array([max(message.binning_x, 1), max(message.binning_y, 1)], np.float64)
    K, P = np.array(message.k).reshape(3, 3), np.array(message.p).reshape(3, 4)
    for matrix in (K, P):
        matrix[:2, 2] -= origin * (matrix[0, 0] != 0)
        matrix[:2] /= binning[:, None]
    width = int((roi.width or message.width) / binning[0])
    height = int((roi.height or message.height) / binning[1])
    return CameraModel.from_matrices(
        K,
        width,
        height,
        D=np.array(message.d),
        model=message.distortion_model,
        R=np.array(message.r),
        P=P,
        frame_id=message.header.frame_id,
    )


def intrinsics_to_camera_info(intrinsics: Intrinsics, header: Header) -> CameraInfo:
    """Calibration of a rectified image."""
    K = intrinsics.matrix
    message = CameraInfo(header=header, width=intrinsics.width, height=intrinsics.height)
    message.distortion_model = "plumb_bob"
    message.d = [0.0] * 5
    message.k = K.ravel()
    message.r = np.eye(3).ravel()
    message.p = np.hstack([K, np.zeros((3, 1))]).ravel()
    return message


def points_to_cloud(points: np.ndarray, header: Header) -> PointCloud2:
    """A point cloud in the layout of ``sensor_msgs_py.point_cloud2.create_cloud``.

    Args:
        points: ``(N,)`` structured array, for example of ``x, y, z, rgb`` float32.
        header: Header of the image that the points come from.
    """
    layout = dict(points.dtype.fields or {})
    fields = [
        PointField(name=name, offset=offset, datatype=_POINT_FIELD_TYPES[kind.str[1:]], count=1)
        for name, (kind, offset, *_) in layout.items()
    ]
    cloud = PointCloud2(header=header, height=1, width=len(points), fields=fields)
    cloud.is_bigendian = sys.byteorder != "little"
    cloud.point_step = points.itemsize
    cloud.row_step = points.itemsize * len(points)
    cloud.is_dense = False
    cloud.data = as_byte_array(points)
    return cloud


def velocity_of(message: Odometry | TwistStamped | TwistWithCovarianceStamped) -> Velocity:
    """Body velocity from any of the three message types.

    Raises:
        DataError: A component is NaN or infinite.
    """
    twist: Any = message.twist
    if not isinstance(message, TwistStamped):
        twist = twist.twist
    linear = np.array([twist.linear.x, twist.linear.y, twist.linear.z])
    angular = np.array([twist.angular.x, twist.angular.y, twist.angular.z])
    if not np.isfinite([linear, angular]).all():
        raise DataError(
            f"velocity is {linear.tolist()} m/s, {angular.tolist()} rad/s: expected finite "
            "numbers from the odometry"
        )
    return Velocity(stamp_to_ns(message.header.stamp), linear, angular)


def velocity_frame(message: Odometry | TwistStamped | TwistWithCovarianceStamped) -> str:
    """The frame that a velocity is given in."""
    if isinstance(message, Odometry):
        return message.child_frame_id
    return message.header.frame_id


def odometry_message(
    header: Header,
    child_frame_id: str,
    T_frame_child: np.ndarray,
    pose_covariance: np.ndarray,
    twist: np.ndarray,
    twist_covariance: np.ndarray,
) -> Odometry:
    """A pose and the velocity there.

    Args:
        header: Stamp, and the frame of the pose.
        child_frame_id: The moving frame; the twist is given in it.
        T_frame_child: ``(4, 4)`` pose.
        pose_covariance: ``(6, 6)``.
        twist: ``(6,)`` linear m/s and angular rad/s.
        twist_covariance: ``(6, 6)``.
    """
    message = Odometry(header=header, child_frame_id=child_frame_id)
    pose = message.pose.pose
    (pose.position.x, pose.position.y, pose.position.z, *quaternion) = (
        float(number) for number in matrix_to_pose(T_frame_child)
    )
    orientation = pose.orientation
    orientation.x, orientation.y, orientation.z, orientation.w = quaternion
    message.pose.covariance = pose_covariance.astype(np.float64).ravel()
    _fill_twist(message.twist, twist, twist_covariance)
    return message


def twist_message(
    header: Header, twist: np.ndarray, twist_covariance: np.ndarray
) -> TwistWithCovarianceStamped:
    """A velocity ``(6,)`` with its ``(6, 6)`` covariance, in the header's frame."""
    message = TwistWithCovarianceStamped(header=header)
    _fill_twist(message.twist, twist, twist_covariance)
    return message


def _fill_twist(message: Any, twist: np.ndarray, covariance: np.ndarray) -> None:
    linear, angular = message.twist.linear, message.twist.angular
    linear.x, linear.y, linear.z = (float(number) for number in twist[:3])
    angular.x, angular.y, angular.z = (float(number) for number in twist[3:])
    message.covariance = covariance.astype(np.float64).ravel()
