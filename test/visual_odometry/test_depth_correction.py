# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.visual_odometry.anchor_points import AnchorPoints
from sfm_depth_ros.visual_odometry.depth_correction import fit_affine

FACTOR, SHIFT = 0.7, -0.03  # 1 / depth = FACTOR * output + SHIFT


def _points(network_noise: float, landmark_noise: float, seed: int) -> AnchorPoints:
    """200 landmarks at 4 to 40 m, each output and landmark off by its share of inverse depth."""
    rng = np.random.default_rng(seed)
    inverse = 1.0 / np.exp(rng.uniform(np.log(4.0), np.log(40.0), 200))
    output = (inverse * np.exp(network_noise * rng.normal(size=200)) - SHIFT) / FACTOR
    seen = inverse * np.exp(landmark_noise * rng.normal(size=200))
    columns, rows = rng.uniform(0, 400, 200), rng.uniform(0, 100, 200)
    noise = np.full(200, landmark_noise)
    return AnchorPoints(
        columns, rows, output, np.full(200, 0.02), seen, noise, np.arange(200), np.arange(200) // 3
    )


def _mean_fit(network_noise: float, landmark_noise: float) -> np.ndarray:
    fits = [fit_affine(_points(network_noise, landmark_noise, seed)) for seed in range(40)]
    assert all(fit is not None for fit in fits)
    return np.mean([(fit.inverse_factor, fit.inverse_shift) for fit in fits if fit], axis=0)


@pytest.mark.parametrize(("network_noise", "landmark_noise"), [(0.15, 0.03), (0.08, 0.1)])
def test_errors_of_the_network_do_not_flatten_the_line(network_noise, landmark_noise) -> None:
    """Least squares that take the output for exact are 5 % too flat at 15 % of noise."""
    factor, shift = _mean_fit(network_noise, landmark_noise)
    assert factor == pytest.approx(FACTOR, rel=0.02)
    assert shift == pytest.approx(SHIFT, abs=0.002)


def test_without_errors_the_line_is_exact() -> None:
    fit = fit_affine(_points(0.0, 0.0, seed=1))
    assert fit is not None
    assert fit.inverse_factor == pytest.approx(FACTOR, rel=1e-6)
    assert fit.inverse_shift == pytest.approx(SHIFT, abs=1e-7)


def _far_points(deviation: float, seed: int) -> AnchorPoints:
    """Landmarks at 4 to 120 m, all known to ``deviation`` 1/m, of which a tracker keeps those
    that it takes for known to half of their inverse depth."""
    rng = np.random.default_rng(seed)
    inverse = 1.0 / np.exp(rng.uniform(np.log(4.0), np.log(120.0), 300))
    seen = inverse + deviation * rng.normal(size=300)
    output = (inverse * np.exp(0.08 * rng.normal(size=300)) - SHIFT) / FACTOR
    columns, rows, ids = rng.uniform(0, 400, 300), rng.uniform(0, 100, 300), np.arange(300)
    share = deviation / np.maximum(seen, 1e-4)
    everything = AnchorPoints(
        columns, rows, output, np.full(300, 0.02), seen, share, ids, ids // 3
    )
    return everything.selected(share < 0.5)


def test_hardly_known_landmarks_do_not_bring_the_horizon_near() -> None:
    """Of those, the ones that came out too near are left: the mean is up to 2 deviations off."""
    fits = [fit_affine(_far_points(0.008, seed)) for seed in range(40)]
    factor, shift = np.mean([(fit.inverse_factor, fit.inverse_shift) for fit in fits if fit], 0)
    assert factor == pytest.approx(FACTOR, rel=0.01)
    assert shift == pytest.approx(SHIFT, abs=0.0005)
