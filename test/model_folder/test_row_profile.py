# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Median depth by image row: of flat ground it is the ground, for any camera at that height."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.model_folder.row_profile import RowProfile, RowProfileFit, require_profile

CAMERA = Intrinsics(200.0, 200.0, 159.5, 40.0, 320, 96)
HEIGHT_M = 1.5


def ground(camera: Intrinsics) -> np.ndarray:
    """Depth of flat ground, ``(height, width)``; 0 above the horizon."""
    slopes = (np.arange(camera.height) - camera.cy) / camera.fy
    with np.errstate(divide="ignore"):
        column = np.where(slopes > 0, HEIGHT_M / slopes, 0.0)
    return np.repeat(column[:, None], camera.width, axis=1)


def fitted() -> RowProfile:
    fit = RowProfileFit()
    for factor in (0.5, 1.0, 1.0, 3.0):  # the median ignores the wild ones
        fit.add(factor * ground(CAMERA), CAMERA)
    return require_profile(fit.profile(), "ground")


def test_profile_of_ground_is_the_ground() -> None:
    rows = slice(60, 96)  # below the range where four rows of an entry differ much
    found = fitted().image(CAMERA)[rows, 7]
    np.testing.assert_allclose(found, ground(CAMERA)[rows, 7], rtol=0.06)


def test_profile_holds_for_another_camera_at_that_height() -> None:
    other = Intrinsics(400.0, 400.0, 319.5, 100.0, 640, 256)
    found = fitted().image(other)[140:205, 3]  # to where CAMERA ends
    np.testing.assert_allclose(found, ground(other)[140:205, 3], rtol=0.06)


def test_one_depth_is_the_median_of_all() -> None:
    depth = np.zeros((96, 320))
    depth[:, :100] = 10.0
    depth[:, 100:250] = 20.0
    depth[:, 250:] = 500.0  # beyond what counts
    fit = RowProfileFit()
    fit.add(depth, CAMERA)
    profile = require_profile(fit.profile(), "walls")
    assert profile.everywhere == 20.0


def test_arrays_give_the_profile_back() -> None:
    profile = fitted()
    again = RowProfile.of_tensors(profile.tensors())
    np.testing.assert_array_equal(again.image(CAMERA), profile.image(CAMERA))
    assert again.everywhere == profile.everywhere


def test_too_few_depths_make_no_profile() -> None:
    fit = RowProfileFit()
    assert fit.profile() is None
    fit.add(np.zeros((96, 320)), CAMERA)
    assert fit.profile() is None
    with pytest.raises(DataError, match="choose a bag with true depth"):
        require_profile(fit.profile(), "nothing")
