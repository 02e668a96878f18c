# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from visual_odometry.exact_points import FOCAL, Views, make_views

from sfm_depth_ros.geometry.frames import invert, twist_to_transform
from sfm_depth_ros.visual_odometry.bundle import PairTerm, Window, refine, view_information


def _window(views: Views, **changes: object) -> Window:
    window = Window(
        poses=views.poses, free=3, rays=views.rays, inverse_depth=views.inverse_depth[:, -1],
        focal=FOCAL, noise=0.2,
    )  # fmt: skip
    return replace(window, **changes)


def _disturbed(poses: np.ndarray, free: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    moved = poses.copy()
    for index in range(len(poses) - free, len(poses)):
        error = twist_to_transform(rng.normal(0, 0.05, 3), rng.normal(0, 0.005, 3), 1.0)
        moved[index] = moved[index] @ error
    return moved


def test_exact_observations_restore_poses_and_inverse_depths() -> None:
    views = make_views()
    rng = np.random.default_rng(2)
    start = views.inverse_depth[:, -1] * np.exp(rng.normal(0, 0.2, 120))
    refined = refine(_window(views, poses=_disturbed(views.poses, 3), inverse_depth=start), 8)
    np.testing.assert_allclose(refined.poses, views.poses, atol=1e-6)
    np.testing.assert_allclose(refined.inverse_depth, views.inverse_depth[:, -1], atol=1e-6)
    assert refined.noise < 1e-3


def test_rotations_stay_orthonormal() -> None:
    refined = refine(_window(make_views(), poses=_disturbed(make_views().poses, 3)), 3)
    for pose in refined.poses:
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-14)


def test_length_term_sets_the_scale_where_nothing_else_does() -> None:
    """Two frames: the images leave the length open."""
    views = make_views(2)
    T = views.motion(1).copy()
    T[:3, 3] *= 1.25
    term = PairTerm(0, 1, T, length_information=1e6)
    refined = refine(_window(views, free=1, terms=(term,)), 12)
    moved = invert(refined.poses[0]) @ refined.poses[1]
    np.testing.assert_allclose(moved[:3, 3], T[:3, 3], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(refined.inverse_depth, views.inverse_depth[:, 1] / 1.25, rtol=5e-3)


def test_a_full_term_of_great_weight_is_met() -> None:
    views = make_views()
    wanted = views.motion(5) @ twist_to_transform([0.02, 0, 0], [0, 0.003, 0], 1.0)
    term = PairTerm(4, 5, wanted, root=1e5 * np.eye(6))
    refined = refine(_window(views, terms=(term,)), 6)
    np.testing.assert_allclose(invert(refined.poses[4]) @ refined.poses[5], wanted, atol=1e-4)


def test_covariance_is_that_of_many_noisy_windows() -> None:
    """Normalised squared error of the newest pose, 1 a degree of freedom for white noise."""
    views = make_views()
    rng = np.random.default_rng(3)
    values = []
    for _ in range(150):
        rays = views.rays + rng.normal(0, 0.2 / FOCAL, views.rays.shape)
        # the newest observation is the definition of the point: it has no noise
        rays[:, -1] = views.rays[:, -1]
        refined = refine(_window(views, rays=rays, free=1), 2)
        error = refined.poses[-1][:3, 3] - views.poses[-1][:3, 3]
        values.append(error @ np.linalg.solve(refined.covariance[:3, :3], error) / 3)
    assert np.mean(values) == pytest.approx(1.0, abs=0.35)


def test_inflation_multiplies_the_standard_deviations() -> None:
    plain = refine(_window(make_views()), 1)
    inflated = refine(_window(make_views(), inflation=3.0), 1)
    np.testing.assert_allclose(inflated.covariance, 9 * plain.covariance, rtol=1e-3)


def test_a_view_that_leaves_knows_the_inverse_depth() -> None:
    views = make_views()
    rays = views.rays.copy()
    rays[:7, 0] = np.nan
    inverse_depth, information = view_information(_window(views, rays=rays), 0)
    assert (information[:7] == 0).all()
    assert (information[7:] > 0).all()
    np.testing.assert_allclose(inverse_depth[7:], views.inverse_depth[7:, -1], rtol=1e-6)
