# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A result as images and points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfm_depth_ros.estimation.depth_result import DepthResult
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.visual_odometry.depth_correction import DepthCorrection

CAMERA = Intrinsics(10.0, 10.0, 1.0, 0.5, 3, 2)


def _result(depth: list[list[float]]) -> DepthResult:
    metres = np.array(depth, np.float32)
    frame = Frame(5, np.full((2, 3, 3), 9, np.uint8), CAMERA, None, "camera")
    return DepthResult(
        stamp_ns=5,
        frame_id="camera",
        depth=metres,
        intrinsics=CAMERA,
        frame=frame,
        frame_depth=metres,
        bare_depth=metres,
        limits=(0.1, 80.0),
        ego_motion=None,
        depth_scale=None,
        translation_ratio=None,
        model_id="id",
        correction=DepthCorrection(),
    )


def test_millimetres_know_no_infinity() -> None:
    result = _result([[1.2344, np.nan, np.inf], [65.534, 65.6, 0.0]])
    np.testing.assert_array_equal(result.depth_as("16UC1"), [[1234, 0, 0], [65534, 0, 0]])
    assert result.depth_as("16UC1").dtype == np.uint16
    assert result.depth_as("32FC1") is result.depth
    with pytest.raises(ValueError, match="32FC1"):
        result.depth_as("rgb8")


def test_the_networks_own_depth_has_the_same_range() -> None:
    network = _result([[0.05, np.nan, 1.0], [80.0, 80.5, np.inf]]).network_depth
    np.testing.assert_array_equal(network, [[np.nan, np.nan, 1.0], [80.0, np.inf, np.inf]])


def test_points_are_of_the_networks_image() -> None:
    points = _result([[1.0, np.nan, np.inf], [2.0, 2.0, 2.0]]).points()
    assert len(points) == 4
    assert (points[0]["x"], points[0]["y"], points[0]["z"]) == pytest.approx((-0.1, -0.05, 1.0))


def test_points_of_little_confidence_are_left_out() -> None:
    confidence = np.array([[0.9, 0.2, 0.5], [0.5, 0.49, 1.0]], np.float32)
    result = replace(_result([[1.0, 2.0, 3.0], [4.0, 5.0, np.inf]]), frame_confidence=confidence)
    assert result.points()["z"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert result.points(1, 0.5)["z"].tolist() == [1.0, 3.0, 4.0]
    assert replace(result, frame_confidence=None).points(1, 0.5)["z"].tolist() == [1, 2, 3, 4, 5]
