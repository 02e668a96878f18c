# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training distribution keeps off the demo's camera."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.world import distribution
from sfm_depth_ros.world.distribution import random_drive_spec


def test_training_never_sees_the_demo_camera() -> None:
    rng = np.random.default_rng(0)
    specs = [random_drive_spec(rng, 320, 96, 5.0) for _ in range(4000)]
    for name, value, (low, high) in (
        ("height_m", distribution.DEMO_HEIGHT_M, distribution.DEMO_HEIGHT_BAND),
        ("pitch_deg", distribution.DEMO_PITCH_DEG, distribution.DEMO_PITCH_BAND),
        ("hfov_deg", distribution.DEMO_HFOV_DEG, distribution.DEMO_HFOV_BAND),
    ):
        drawn = np.array([getattr(spec.camera, name) for spec in specs])
        assert not ((drawn > low) & (drawn < high)).any(), name
        assert low < value < high
        assert getattr(distribution.DEMO_CAMERA, name) == value
    assert max(spec.seed for spec in specs) < distribution.DEMO_SEED


def test_training_covers_the_robots_it_should() -> None:
    rng = np.random.default_rng(1)
    specs = [random_drive_spec(rng, 320, 128, 5.0) for _ in range(2000)]
    heights = np.array([spec.camera.height_m for spec in specs])
    assert heights.min() >= 0.2
    assert heights.max() <= 2.0
    assert 0.3 < ((heights > 1.35) & (heights < 1.75)).mean() < 0.7
    pitches = np.array([spec.camera.pitch_deg for spec in specs])
    assert pitches.min() >= -3.0
    assert pitches.max() <= 15.0
    fields = np.array([spec.camera.hfov_deg for spec in specs])
    assert fields.min() >= 50.0
    assert fields.max() <= 110.0
    assert {spec.style for spec in specs} == set(distribution.STYLE_SHARES)


def test_same_generator_same_specs() -> None:
    one, other = (random_drive_spec(np.random.default_rng(7), 320, 96, 5.0) for _ in range(2))
    assert one == other
