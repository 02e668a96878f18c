# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The focal rule: a world stretched with the lens gives the same image."""

from __future__ import annotations

import numpy as np
import torch

from sfm_depth_ros.geometry.depth import canonical_to_depth, canonical_to_motion


def test_stretching_depth_with_the_focal_length_keeps_the_image() -> None:
    point = np.array([1.0, -0.5, 4.0])
    reference = 200.0 * point[:2] / point[2]
    stretched = canonical_to_depth(point[2], 350.0, 200.0)
    np.testing.assert_allclose(350.0 * point[:2] / stretched, reference, rtol=1e-12)


def test_motion_keeps_the_flow() -> None:
    """The flow of a small motion is the same in the reference world and in the stretched one."""
    focal, reference = 320.0, 200.0
    canonical = np.array([[0.02, -0.01, 0.3, 0.001, -0.002, 0.0005]])
    real = canonical_to_motion(canonical, np.array([focal]), reference)
    point = np.array([0.3, 0.2, 5.0])

    def flow(x: np.ndarray, motion: np.ndarray, f: float) -> np.ndarray:
        velocity = -motion[:3] - np.cross(motion[3:], x)
        return f * (velocity[:2] - x[:2] / x[2] * velocity[2]) / x[2]

    far = point * np.array([1, 1, focal / reference])
    np.testing.assert_allclose(
        flow(far, real[0], focal), flow(point, canonical[0], reference), atol=2e-3
    )
    np.testing.assert_allclose(real[0], [0.02, -0.01, 0.48, 0.000625, -0.00125, 0.0005])


def test_numpy_and_torch_agree_and_inputs_are_kept() -> None:
    motion = np.random.default_rng(0).normal(size=(4, 6))
    focal = np.array([150.0, 200.0, 250.0, 400.0])
    kept = motion.copy()
    as_numpy = canonical_to_motion(motion, focal, 200.0)
    as_torch = canonical_to_motion(torch.from_numpy(motion), torch.from_numpy(focal), 200.0)
    np.testing.assert_allclose(as_torch.numpy(), as_numpy, rtol=1e-12)
    np.testing.assert_array_equal(motion, kept)
