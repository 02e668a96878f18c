# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.camera.camera_model import (
    CameraModel,
    is_rectified_topic,
    read_camera_info_file,
)
from sfm_depth_ros.camera.rectification import undistort_map
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics

K = [200.0, 0, 100, 0, 210, 50, 0, 0, 1]

CALIBRATION = """
image_width: 640
image_height: 480
camera_name: narrow
camera_matrix: {rows: 3, cols: 3, data: [500, 0, 320, 0, 501, 240, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [-0.3, 0.1, 0, 0, 0]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [450, 0, 319, 0, 0, 451, 239, 0, 0, 0, 1, 0]}
"""


def test_zero_r_and_p_count_as_not_given():
    camera = CameraModel.from_matrices(K, 200, 100, R=[0] * 9, P=[0] * 12, model="")
    assert camera.rectified == Intrinsics(200, 210, 100, 50, 200, 100)
    assert camera.model == "plumb_bob"
    assert not camera.is_distorted


def test_lens_rotation_and_projection_each_make_it_distorted():
    rotated = [0.0, -1, 0, 1, 0, 0, 0, 0, 1]
    for given in ({"D": [0.1, 0, 0, 0, 0]}, {"R": rotated}, {"P": np.eye(4)[:3] * 300}):
        given = {"P": [300, 0, 90, 0, 0, 300, 40, 0, 0, 0, 1, 0]} if "P" in given else given
        assert CameraModel.from_matrices(K, 200, 100, **given).is_distorted


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"K": [0.0] * 9}, "focal length"),
        ({"K": [-200.0, *K[1:]]}, "focal length"),
        ({"K": K[:8]}, "K of camera_info"),
        ({"K": [float("nan"), *K[1:]]}, "K of camera_info"),
        ({"width": 0}, "image size"),
        ({"width": 30000, "height": 30000}, "30000x30000"),
        ({"width": 200, "height": 801}, "200x801, expected a height"),
        ({"D": [float("nan")] * 5}, "distortion"),
        ({"R": [2.0, 0, 0, 0, 2, 0, 0, 0, 2]}, "rotation"),
        ({"R": [-1.0, 0, 0, 0, 1, 0, 0, 0, 1]}, "rotation"),
        ({"R": [1.0, 1, 0, 0, 1, 0, 0, 0, 1]}, "rotation"),
        ({"K": [3.6, 0, 100, 0, 3.6, 50, 0, 0, 1]}, "3.6 pixels for images 200 wide.*millimetres"),
        ({"K": [0.8, 0, 0.5, 0, 0.8, 0.5, 0, 0, 1]}, "0.8 pixels .* expected 6 to 200000"),
        ({"K": [1e9, 0, 100, 0, 1e9, 50, 0, 0, 1]}, r"1e\+09 pixels"),
        ({"P": [1e9, 0, 100, 0, 0, 1e9, 50, 0, 0, 0, 1, 0]}, "P of camera_info has a focal"),
        ({"K": [200.0, 0, -4e9, 0, 200, 50, 0, 0, 1]}, "principal point.*region of interest"),
        ({"K": [200.0, 0, 100, 0, 200, 1101, 0, 0, 1]}, r"at \(100, 1101\) for images of 200x100"),
    ],
)
def test_impossible_calibrations_are_refused(given, words):
    arguments = {"K": K, "width": 200, "height": 100, **given}
    with pytest.raises(DataError, match=words):
        CameraModel.from_matrices(**arguments)


def test_same_optics_are_recognised():
    camera = CameraModel.from_matrices(K, 200, 100)
    assert camera.is_same(CameraModel.from_matrices(K, 200, 100))
    assert not camera.is_same(CameraModel.from_matrices(K, 200, 100, D=[0.1] * 5))
    assert not camera.is_same(CameraModel.from_matrices(K, 200, 101))


def test_a_refocused_camera_is_the_same_but_not_equal():
    camera = CameraModel.from_matrices(K, 200, 100)
    refocused = CameraModel.from_matrices(np.multiply(K, [1.001] * 8 + [1]), 200, 100)
    zoomed = CameraModel.from_matrices(np.multiply(K, [1.03] * 8 + [1]), 200, 100)
    assert camera.is_same(refocused)
    assert not camera.is_equal(refocused)
    assert camera.is_equal(CameraModel.from_matrices(K, 200, 100))
    assert not camera.is_same(zoomed)


def test_a_stream_without_k_is_rectified_by_p():
    P = [450, 0, 119, -45, 0, 451, 39, 0, 0, 0, 1, 0]
    camera = CameraModel.from_matrices([0] * 9, 200, 100, D=[0.3] * 5, P=P, frame_id="o")
    assert camera.rectified == Intrinsics(450, 451, 119, 39, 200, 100)
    assert camera.frame_id == "o"
    assert camera.P[0, 3] == -45
    assert not camera.is_distorted


def test_a_fisheye_is_no_pinhole_even_with_zero_coefficients():
    fisheye = CameraModel.from_matrices(K, 200, 100, D=[0] * 4, model="equidistant")
    assert fisheye.is_distorted
    columns, _ = undistort_map(
        fisheye.K, fisheye.D, fisheye.model, None, None, (200, 100), (200, 100)
    )
    # 0.5 radians off the axis, a fisheye puts a ray at 0.5 f, where a pinhole has f tan 0.5
    assert columns[50, 100 + 40] == pytest.approx(100 + 200 * np.arctan(40 / 200), abs=1e-3)


@pytest.mark.parametrize(
    ("topic", "is_rectified"),
    [
        ("/camera/image_rect", True),
        ("/camera/image_rect_color/compressed", True),
        ("image_rect_raw", True),
        ("/image_rect/image_raw", False),
        ("/camera/image_raw/compressed", False),
        ("", False),
    ],
)
def test_rectified_topics_by_the_names_of_image_proc(topic, is_rectified):
    assert is_rectified_topic(topic) == is_rectified


def test_the_camera_of_a_rectified_stream_is_p():
    P = [150, 0, 95, -15, 0, 151, 45, 0, 0, 0, 1, 0]
    camera = CameraModel.from_matrices(K, 200, 100, D=[-0.3, 0.1, 0, 0, 0], P=P)
    rectified = camera.of_rectified_stream()
    assert not rectified.is_distorted
    assert rectified.rectified == camera.rectified
    np.testing.assert_array_equal(rectified.P, camera.P)


def test_calibration_file(tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text(CALIBRATION)
    camera = read_camera_info_file(path, "optical")
    assert camera.rectified == Intrinsics(450, 451, 319, 239, 640, 480)
    assert camera.D.tolist() == [-0.3, 0.1, 0, 0, 0]
    assert camera.frame_id == "optical"


@pytest.mark.parametrize(
    "content", ["", "- 1", "image_width: 3", "a: [", CALIBRATION.replace("data", "numbers")]
)
def test_damaged_calibration_file_is_named(tmp_path, content):
    path = tmp_path / "camera.yaml"
    path.write_text(content)
    with pytest.raises(DataError, match=r"camera\.yaml"):
        read_camera_info_file(path)


def test_a_name_that_no_file_can_have_is_named():
    with pytest.raises(DataError, match=r"camera_info_file .* cannot be read: embedded null"):
        read_camera_info_file("camera\0.yaml")
    with pytest.raises(DataError, match="camera_info_file ~nobody_of_that_name/x cannot be read"):
        read_camera_info_file("~nobody_of_that_name/x")


def test_missing_calibration_file_is_named(tmp_path):
    with pytest.raises(DataError, match="absent"):
        read_camera_info_file(tmp_path / "absent")


def test_a_calibration_file_without_an_end_is_refused():
    with pytest.raises(DataError, match="no calibration"):
        read_camera_info_file("/dev/zero")
