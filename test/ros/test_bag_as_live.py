# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The same messages give the same camera, image and depth, from a bag as live."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("rosbags")
pytestmark = pytest.mark.ros

from exact_drive import OracleFolder, create_oracle_engine
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo

from sfm_depth_ros.bags.frames import read_frames
from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.camera.preprocessing import Preprocessor
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.estimation.output_topics import DEPTH_TOPIC
from sfm_depth_ros.estimation.replay import replay
from sfm_depth_ros.geometry.frames import rotation_matrix
from sfm_depth_ros.messages import depth_to_metres
from sfm_depth_ros.ros import conversions

STAMP_NS = 1_700_000_000_123_456_789
TURNED = rotation_matrix([0.01, -0.02, 0.008]).ravel()
CASES = {
    "plain": {},
    "binning": {"binning_x": 2, "binning_y": 2},
    "uneven binning": {"binning_x": 2, "binning_y": 1},
    "region": {"roi": (20, 40, 600, 400, False)},
    "region and binning": {"roi": (20, 40, 600, 400, True), "binning_x": 2, "binning_y": 2},
    "P alone": {"p": [480.0, 0, 322, 0, 0, 490, 242, 0, 0, 0, 1, 0]},
    "baseline": {"p": [500.0, 0, 320, -60.0, 0, 510, 240, 0, 0, 0, 1, 0]},
    "R": {"r": TURNED},
    "D": {"d": [-0.1, 0.02, 0.001, 0.002, 0.0]},
    "short D": {"d": [-0.1, 0.02, 0.001, 0.002]},
    "rational": {
        "d": [0.3, 0.1, 1e-3, -2e-3, 0.02, 0.5, 0.05, 0.01],
        "distortion_model": "rational_polynomial",
    },
    "fisheye": {"d": [-0.02, 0.01, -0.003, 0.001], "distortion_model": "equidistant"},
    "no model": {"distortion_model": ""},
    "frame": {"frame_id": "/left/optical"},
}


def camera_info(**fields) -> CameraInfo:
    message = CameraInfo(width=640, height=480, distortion_model="plumb_bob")
    message.header = conversions.header_at(STAMP_NS, fields.pop("frame_id", "camera"))
    message.k = np.array([500.0, 0, 320, 0, 510, 240, 0, 0, 1])
    message.r = np.eye(3).ravel()
    message.p = np.array([500.0, 0, 320, 0, 0, 510, 240, 0, 0, 0, 1, 0])
    if region := fields.pop("roi", None):
        roi = message.roi
        roi.x_offset, roi.y_offset, roi.width, roi.height, roi.do_rectify = region
    for name, value in fields.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize("case", CASES)
def test_every_field_of_camera_info(tmp_path, case):
    info = camera_info(**CASES[case])
    live = conversions.camera_info_to_model(info)
    pixels = np.random.default_rng(0).integers(0, 255, (live.height, live.width, 3), np.uint8)
    image = conversions.array_to_image(pixels, "rgb8", info.header)
    with BagWriter(tmp_path / "bag") as bag:
        for topic, message in (("camera_info", info), ("image_raw", image)):
            kind = f"sensor_msgs/msg/{type(message).__name__}"
            bag.write_serialized(f"/{topic}", kind, STAMP_NS, serialize_message(message))

    frames = read_frames(tmp_path / "bag", NetworkInput(256))
    recorded = frames.rig.camera
    for name in ("K", "D", "R", "P"):
        np.testing.assert_array_equal(getattr(recorded, name), getattr(live, name))
    assert recorded.is_same(live)
    (given,) = frames
    expected = Preprocessor(live, NetworkInput(256)).frame(
        conversions.image_to_rgb(image), STAMP_NS
    )
    assert given.frame.intrinsics == expected.intrinsics
    np.testing.assert_array_equal(given.frame.image, expected.image)

    height, width = given.frame.image.shape[:2]
    depth = np.random.default_rng(1).uniform(2, 30, (1, 1, height, width))
    folder, config = OracleFolder([depth], [np.zeros((1, 6))]), DepthNodeConfig(input_width=256)
    estimator = DepthEstimator(folder, live, config, create_oracle_engine)
    result = estimator.estimate(conversions.image_to_rgb(image), STAMP_NS)
    estimator.close()
    replay(folder, tmp_path / "bag", tmp_path / "out", config, create_engine=create_oracle_engine)
    with BagReader(tmp_path / "out") as reader:
        (message,) = reader.raw_messages(DEPTH_TOPIC)
        found = depth_to_metres(message.message)
    finite = np.where(np.isfinite(result.depth), result.depth, 0)
    assert np.count_nonzero(finite) > 1000
    np.testing.assert_array_equal(found, finite)


def test_binning_halves_the_intrinsics_of_a_bag(tmp_path):
    info = camera_info(binning_x=2, binning_y=2)
    with BagWriter(tmp_path / "bag") as bag:
        cdr = serialize_message(info)
        bag.write_serialized("/camera_info", "sensor_msgs/msg/CameraInfo", STAMP_NS, cdr)
        bag.write_image(STAMP_NS, np.zeros((240, 320, 3), np.uint8), "camera", topic="/image_raw")
    camera = read_frames(tmp_path / "bag", NetworkInput(64)).rig.camera
    assert (camera.width, camera.height) == (320, 240)
    assert camera.K[0].tolist() == [250, 0, 160]
    assert camera.K[1].tolist() == [0, 255, 120]
