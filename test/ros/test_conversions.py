# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import array
import math
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from geometry_msgs.msg import TwistStamped, TwistWithCovarianceStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sfm_depth_ros.camera.image_files import encode_jpeg
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.estimation.depth_views import POINT_TYPE
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import pose_to_matrix
from sfm_depth_ros.ros import conversions

STAMP_NS = 1_700_000_000_123_456_789


def _rgb(height=6, width=8):
    return np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)


def test_stamps_survive_the_round_trip_exactly():
    assert conversions.stamp_to_ns(conversions.ns_to_stamp(STAMP_NS)) == STAMP_NS


def test_an_image_survives_the_round_trip_and_reading_copies_nothing():
    header = conversions.header_at(STAMP_NS, "camera")
    message = conversions.array_to_image(_rgb(), "rgb8", header)
    assert (message.height, message.width, message.step) == (6, 8, 24)
    pixels = conversions.image_to_rgb(message)
    assert np.array_equal(pixels, _rgb())
    assert np.shares_memory(pixels, np.frombuffer(message.data, np.uint8))
    assert message.header.frame_id == "camera"


def test_data_is_an_array_array_and_big_images_cost_little():
    pixels = np.zeros((720, 1280, 3), np.uint8)
    started = time.perf_counter()
    message = conversions.array_to_image(pixels, "rgb8", conversions.header_at(0, ""))
    assert time.perf_counter() - started < 0.1  # an ndarray assigned takes 0.16 s and more
    assert isinstance(message.data, array.array)


@pytest.mark.parametrize(("encoding", "kind", "size"), [("32FC1", "<f4", 4), ("16UC1", "<u2", 2)])
def test_depth_images_hold_the_numbers(encoding, kind, size):
    depth = np.array([[1.5, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32)
    message = conversions.array_to_image(depth, encoding, conversions.header_at(0, ""))
    assert (message.encoding, message.step, len(message.data)) == (encoding, 2 * size, 6 * size)
    assert np.array_equal(
        np.frombuffer(message.data, kind).reshape(3, 2), depth.astype(np.dtype(kind))
    )


def test_depth_in_millimetres_knows_no_nan_and_no_infinity():
    depth = np.array([[np.nan, np.inf, 0.0, -1.0, 1.2345, 65.535, 65.536]], np.float32)
    pixels = conversions.depth_pixels(depth, "16UC1")
    assert pixels.dtype == np.uint16
    assert pixels.tolist() == [[0, 0, 0, 0, 1234, 65535, 0]]
    assert np.array_equal(conversions.depth_pixels(depth, "32FC1"), depth, equal_nan=True)


def test_a_compressed_image_is_decoded():
    image = np.full((16, 24, 3), (200, 100, 50), np.uint8)
    message = CompressedImage(format="jpeg", data=array.array("B", encode_jpeg(image)))
    assert np.abs(conversions.image_to_rgb(message).astype(int) - image).max() <= 3


@pytest.mark.parametrize(
    ("change", "message_part"),
    [
        ({"encoding": "nv42"}, "nv42"),
        ({"step": 7}, "step"),
        ({"height": 60}, "bytes"),
    ],
)
def test_a_bad_image_names_what_is_wrong(change, message_part):
    message = conversions.array_to_image(_rgb(), "rgb8", conversions.header_at(0, ""))
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(DataError, match=message_part):
        conversions.image_to_rgb(message)


@pytest.fixture
def cv_bridge(monkeypatch, tmp_path):
    """A stand-in that knows every encoding but one."""
    (tmp_path / "cv_bridge.py").write_text(
        "import numpy\n"
        "class CvBridge:\n"
        "    def imgmsg_to_cv2(self, message, wanted):\n"
        "        if message.encoding == 'broken': raise KeyError(16)\n"
        "        return numpy.full((message.height, message.width, 3), 7, numpy.uint8)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("cv_bridge", None)


def test_an_unknown_encoding_goes_through_cv_bridge_where_that_works(cv_bridge):
    message = Image(encoding="nv42", height=2, width=2, step=2, data=array.array("B", bytes(4)))
    assert (conversions.image_to_rgb(message) == 7).all()
    message.encoding = "broken"
    with pytest.raises(DataError, match=r"'broken'.*cv_bridge is installed but failed"):
        conversions.image_to_rgb(message)


def _camera_info(**fields):
    message = CameraInfo(width=640, height=480, distortion_model="plumb_bob")
    message.header.frame_id = "camera"
    message.d = [0.1, -0.2, 0.0, 0.0, 0.0]
    message.k = np.array([500.0, 0, 320, 0, 510, 240, 0, 0, 1])
    message.r = np.eye(3).ravel()
    message.p = np.array([480.0, 0, 322, 0, 0, 490, 242, 0, 0, 0, 1, 0])
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def test_camera_info_becomes_a_camera():
    camera = conversions.camera_info_to_model(_camera_info())
    assert camera.K[0].tolist() == [500, 0, 320]
    assert camera.P[1].tolist() == [0, 490, 242, 0]
    assert camera.D.tolist() == [0.1, -0.2, 0, 0, 0]
    assert (camera.width, camera.height, camera.frame_id) == (640, 480, "camera")


def test_binning_and_region_of_interest_are_taken_into_account():
    message = _camera_info(binning_x=2, binning_y=2)
    message.roi.x_offset, message.roi.y_offset = 20, 40
    message.roi.width, message.roi.height = 600, 400
    camera = conversions.camera_info_to_model(message)
    assert camera.K[0].tolist() == [250, 0, 150]
    assert camera.K[1].tolist() == [0, 255, 100]
    assert (camera.width, camera.height) == (300, 200)


@pytest.mark.parametrize("focal", [0.0, -500.0, math.nan])
def test_an_impossible_focal_length_is_refused(focal):
    message = _camera_info(k=np.array([focal, 0, 320, 0, 510, 240, 0, 0, 1]))
    with pytest.raises(DataError):
        conversions.camera_info_to_model(message)


def test_intrinsics_survive_the_round_trip():
    intrinsics = Intrinsics(300.0, 310.0, 160.0, 90.0, 320, 192)
    header = conversions.header_at(STAMP_NS, "camera")
    message = conversions.intrinsics_to_camera_info(intrinsics, header)
    camera = conversions.camera_info_to_model(message)
    assert camera.rectified == intrinsics
    assert not camera.is_distorted
    assert message.header == header


def test_a_point_cloud_has_the_layout_of_sensor_msgs_py():
    points = np.array([(1, 2, 3, 0), (4, 5, 6, 0)], POINT_TYPE)
    cloud = conversions.points_to_cloud(points, conversions.header_at(STAMP_NS, "camera"))
    assert [(f.name, f.offset, f.datatype, f.count) for f in cloud.fields] == [
        ("x", 0, 7, 1),
        ("y", 4, 7, 1),
        ("z", 8, 7, 1),
        ("rgb", 12, 7, 1),
    ]
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (1, 2, 16, 32)
    assert np.array_equal(np.frombuffer(cloud.data, POINT_TYPE), points)


def test_a_point_cloud_is_the_one_that_sensor_msgs_py_makes():
    reference = pytest.importorskip("sensor_msgs_py.point_cloud2")
    points = np.array([(1, 2, 3, 0.5), (4, 5, 6, 0.25)], POINT_TYPE)
    header = conversions.header_at(STAMP_NS, "camera")
    ours = conversions.points_to_cloud(points, header)
    assert ours == reference.create_cloud(header, ours.fields, points)


def test_an_empty_point_cloud_is_a_message_too():
    cloud = conversions.points_to_cloud(np.zeros(0, POINT_TYPE), conversions.header_at(0, ""))
    assert (cloud.width, len(cloud.data)) == (0, 0)


def _velocity_messages():
    odometry, stamped = Odometry(child_frame_id="base_link"), TwistStamped()
    with_covariance = TwistWithCovarianceStamped()
    for message, twist in (
        (odometry, odometry.twist.twist),
        (stamped, stamped.twist),
        (with_covariance, with_covariance.twist.twist),
    ):
        message.header.stamp = conversions.ns_to_stamp(STAMP_NS)
        twist.linear.x, twist.angular.z = 2.0, 0.5
        yield message, twist


@pytest.mark.parametrize("index", [0, 1, 2])
def test_velocity_from_every_type_and_never_with_nan(index):
    message, twist = list(_velocity_messages())[index]
    velocity = conversions.velocity_of(message)
    assert velocity.stamp_ns == STAMP_NS
    assert velocity.linear.tolist() == [2, 0, 0]
    assert velocity.angular.tolist() == [0, 0, 0.5]
    twist.angular.y = math.nan
    with pytest.raises(DataError, match="finite"):
        conversions.velocity_of(message)


def test_odometry_holds_pose_twist_and_covariances():
    T = pose_to_matrix([1.0, 2.0, 3.0, 0.0, 0.0, math.sin(0.2), math.cos(0.2)])
    twist, covariance = np.arange(6.0), np.arange(36.0).reshape(6, 6)
    header = conversions.header_at(STAMP_NS, "odom_visual")
    message = conversions.odometry_message(header, "base_link", T, covariance, twist, covariance)
    position, orientation = message.pose.pose.position, message.pose.pose.orientation
    assert (position.x, position.y, position.z) == pytest.approx((1, 2, 3))
    assert (orientation.z, orientation.w) == pytest.approx((math.sin(0.2), math.cos(0.2)))
    assert message.twist.twist.angular.z == 5.0
    assert message.pose.covariance[7] == 7.0
    assert (message.header, message.child_frame_id) == (header, "base_link")
