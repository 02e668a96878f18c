# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from small_bag import CAMERA, START, image

pytest.importorskip("rosbags")

from sfm_depth_ros.data.bag_writer import BagWriter
from sfm_depth_ros.data.camera_model import CameraModel
from sfm_depth_ros.data.second_camera import find_second_camera


def _shifted(baseline: float) -> CameraModel:
    P = CAMERA.P.copy()
    P[0, 3] = -baseline * P[0, 0]
    return dataclasses.replace(CAMERA, P=P)


def _write(path: Path, cameras: dict[str, CameraModel]) -> Path:
    with BagWriter(path) as bag:
        for name, camera in cameras.items():
            bag.write_image(START, image(0), "optical", topic=f"/{name}/image_raw")
            bag.write_camera_info(START, camera, f"/{name}/camera_info")
    return path


def test_the_camera_to_the_right_is_known_by_its_calibration(tmp_path: Path) -> None:
    cameras = {"a": CAMERA, "b": CAMERA, "c": _shifted(0.9), "d": _shifted(0.2)}
    found = find_second_camera(_write(tmp_path / "bag", cameras))
    assert found is not None
    assert (found.image, found.camera_info) == ("/d/image_raw", "/d/camera_info")
    assert found.baseline_m == pytest.approx(0.2)
    np.testing.assert_array_equal(found.camera.K, CAMERA.K)


@pytest.mark.parametrize("others", [{}, {"b": CAMERA}, {"b": _shifted(-0.3)}])
def test_other_cameras_are_no_pair(tmp_path: Path, others: dict[str, CameraModel]) -> None:
    assert find_second_camera(_write(tmp_path / "bag", {"a": CAMERA, **others})) is None
