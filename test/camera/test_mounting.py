# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.camera.mounting import image_roll, tilt_fault
from sfm_depth_ros.geometry.frames import R_BASE_OPTICAL, rotation_matrix


def _mounted(roll_deg: float = 0.0, pitch_deg: float = 0.0) -> np.ndarray:
    """Pose of a camera that looks ahead, turned about its axis after it was pitched down."""
    T = np.eye(4)
    pitch = rotation_matrix(np.radians([0.0, pitch_deg, 0.0]))
    T[:3, :3] = pitch @ R_BASE_OPTICAL @ rotation_matrix(np.radians([0.0, 0.0, roll_deg]))
    return T


@pytest.mark.parametrize("roll", [0.0, 30.0, -90.0, 170.0])
@pytest.mark.parametrize("pitch", [0.0, 20.0, -40.0])
def test_the_roll_is_that_of_the_camera_however_it_is_pitched(roll: float, pitch: float) -> None:
    # a camera turned clockwise, seen along its axis, turns its image the other way
    assert image_roll(_mounted(roll, pitch)) == pytest.approx(-roll)


@pytest.mark.parametrize(
    ("roll", "words"), [(0, ""), (40, ""), (180, "upside down"), (-90, "on its side")]
)
def test_images_that_are_not_upright_are_named_with_a_remedy(roll: float, words: str) -> None:
    fault = tilt_fault(_mounted(roll))
    assert words in fault and bool(fault) == bool(words)
    assert not words or "image_rotate" in fault


@pytest.mark.parametrize("pitch", [90.0, -85.0])
def test_a_camera_that_looks_down_or_up_has_no_upright_image(pitch: float) -> None:
    assert image_roll(_mounted(180.0, pitch)) is None
    assert tilt_fault(_mounted(180.0, pitch)) == ""
