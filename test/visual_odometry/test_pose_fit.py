# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from visual_odometry.exact_points import FOCAL, make_views

from sfm_depth_ros.visual_odometry.pose_fit import (
    PosePrior,
    epipolar_pose,
    fit_pose,
    triangulate,
)

WEAK = np.full(6, 1e-6)
START = np.eye(4)
START[2, 3] = 0.7  # metres: a tenth short, and no rotation


def _bearings(rays: np.ndarray) -> np.ndarray:
    return np.concatenate([rays, np.ones((len(rays), 1))], 1)


def test_motion_of_known_inverse_depths_is_exact() -> None:
    views = make_views(2)
    fit = fit_pose(
        _bearings(views.rays[:, 0]), views.inverse_depth[:, 0], np.zeros(120), views.rays[:, 1],
        PosePrior(START, WEAK), FOCAL, 0.2, iterations=8,
    )  # fmt: skip
    np.testing.assert_allclose(fit.T_earlier_later, views.motion(1), atol=1e-6)
    assert fit.deviations.max() < 1e-2


def test_a_fifth_of_wrong_tracks_changes_little() -> None:
    views = make_views(2)
    rays = views.rays[:, 1].copy()
    rays[:24] += [0.05, 0.02]
    fit = fit_pose(
        _bearings(views.rays[:, 0]), views.inverse_depth[:, 0], np.zeros(120), rays,
        PosePrior(START, WEAK), FOCAL, 0.2, iterations=15,
    )  # fmt: skip
    np.testing.assert_allclose(fit.T_earlier_later, views.motion(1), atol=5e-3)
    assert (fit.deviations[:24] > 10).all()
    assert (fit.deviations[24:] < 4).all()


def test_unknown_depths_constrain_by_epipolar_lines_and_are_corrected() -> None:
    """Rotation and direction come out exact where the length is held by the prior."""
    views = make_views(2)
    guess = np.full(120, 0.06)
    T = views.motion(1)
    held = PosePrior(T, np.array([1e6, 1e6, 1e6, 1e-6, 1e-6, 1e-6]))
    fit = fit_pose(
        _bearings(views.rays[:, 0]), guess, np.full(120, 0.09), views.rays[:, 1], held, FOCAL,
        0.2, iterations=8,
    )  # fmt: skip
    np.testing.assert_allclose(fit.T_earlier_later, T, atol=2e-3)
    wide = np.abs(views.rays[:, 1] - views.rays[:, 0]).max(1) > 0.02
    corrected = (guess + fit.inverse_depth_step)[wide]
    error = np.abs(corrected / views.inverse_depth[wide, 0] - 1)
    assert np.median(error) < 0.1


def test_covariance_shrinks_with_the_noise_squared() -> None:
    views = make_views(2)
    covariances = [
        fit_pose(
            _bearings(views.rays[:, 0]), views.inverse_depth[:, 0], np.zeros(120),
            views.rays[:, 1], PosePrior(views.motion(1), np.zeros(6)), FOCAL, noise,
        ).covariance
        for noise in (0.1, 0.2)
    ]  # fmt: skip
    np.testing.assert_allclose(covariances[1], 4 * covariances[0], rtol=1e-3)


def test_epipolar_pose_finds_direction_and_rotation() -> None:
    views = make_views(2)
    found = epipolar_pose(views.rays[:, 0], views.rays[:, 1], FOCAL)
    assert found is not None
    T, share = found
    true = views.motion(1)
    np.testing.assert_allclose(T[:3, :3], true[:3, :3], atol=1e-4)
    np.testing.assert_allclose(T[:3, 3], true[:3, 3] / np.linalg.norm(true[:3, 3]), atol=1e-3)
    assert share > 0.95


@pytest.mark.parametrize("points", [0, 5])
def test_too_few_points_give_no_epipolar_pose(points: int) -> None:
    assert epipolar_pose(np.zeros((points, 2)), np.zeros((points, 2)), FOCAL) is None


def test_triangulation_is_exact() -> None:
    views = make_views(2)
    found = triangulate(
        _bearings(views.rays[:, 0]), views.rays[:, 1], views.motion(1), np.full(120, 0.05), 10
    )
    np.testing.assert_allclose(found, views.inverse_depth[:, 0], rtol=1e-4)


def test_without_translation_the_rotation_is_found_all_the_same() -> None:
    """A start at no motion and points at infinity have no epipolar lines."""
    views = make_views(2)
    turned = views.rays[:, 0].copy()
    bearings = _bearings(turned)
    local = bearings @ views.motion(1)[:3, :3]
    held = PosePrior(np.eye(4), np.array([1e6, 1e6, 1e6, 0, 0, 0]))
    fit = fit_pose(
        bearings, np.zeros(120), np.zeros(120), local[:, :2] / local[:, 2:], held, FOCAL, 0.2
    )
    np.testing.assert_allclose(fit.T_earlier_later[:3, :3], views.motion(1)[:3, :3], atol=1e-5)
