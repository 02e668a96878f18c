# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.camera.camera_model import CameraModel, read_camera_info_file
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
    turned = [0.0, -1, 0, 1, 0, 0, 0, 0, 1]
    for given in ({"D": [0.1, 0, 0, 0, 0]}, {"R": turned}, {"P": np.eye(4)[:3] * 300}):
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
        ({"D": [float("nan")] * 5}, "distortion"),
        ({"R": [2.0, 0, 0, 0, 2, 0, 0, 0, 2]}, "rotation"),
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


def test_missing_calibration_file_is_named(tmp_path):
    with pytest.raises(DataError, match="absent"):
        read_camera_info_file(tmp_path / "absent")
