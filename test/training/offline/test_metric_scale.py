# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metric scale from the velocity loss, and from nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfm_depth_ros.config.schema import (
    DepthNetworkConfig,
    ObjectiveConfig,
    OfflineTrainingConfig,
    PoseNetworkConfig,
)
from sfm_depth_ros.snippets.batch import collate
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.network_pair import NetworkPair, fresh_networks
from sfm_depth_ros.training.offline.loop import OfflineTrainer
from sfm_depth_ros.training.offline.run_parts import RunParts
from sfm_depth_ros.training.scale_calibration import measure_scale
from sfm_depth_ros.world.drive import CameraSpec, DriveSpec, SyntheticDrive
from sfm_depth_ros.world.trajectory import MotionSpec

WIDTH, HEIGHT = 96, 64
STEPS = 160


@pytest.fixture(scope="module")
def drive() -> tuple[list[Snippet], list[Snippet]]:
    """Snippets of a drive with varied speed, without their truth: to learn from, and held out."""
    camera = CameraSpec(WIDTH, HEIGHT, hfov_deg=80.0, height_m=1.2, pitch_deg=3.0)
    motion = MotionSpec(speed_mps=4.0, variation=0.4)
    rendered = SyntheticDrive(DriveSpec(5, 24.0, camera, motion=motion))
    snippets = [rendered.render_snippet(index, 1) for index in range(4, len(rendered) - 4, 3)]
    blind = [
        Snippet(s.target, s.sources, s.intrinsics, s.displacements, s.stamps_ns)
        for s in snippets
        if min(s.displacements) > 0.05
    ]
    return [s for i, s in enumerate(blind) if i % 5], blind[::5]


def train(snippets: list[Snippet], velocity_weight: float, folder) -> NetworkPair:
    networks = fresh_networks(
        DepthNetworkConfig(width=8, reference_focal=57.0),
        PoseNetworkConfig(width=8, reference_focal=57.0),
        seed=1,
    )
    config = OfflineTrainingConfig(
        steps=STEPS,
        batch_size=6,
        learning_rate=3e-3,
        warmup_steps=10,
        average_decay=0.9,
        scale_rate_factor=10.0,
        self_supervised_every=1,
        validate_every=10**6,
        log_every=20,
    )
    objective = ObjectiveConfig(velocity_weight=velocity_weight)
    trainer = OfflineTrainer(networks, RunParts(folder / "state", config, objective))

    def batch(step: int):
        rows = np.random.default_rng(step).choice(len(snippets), 6, replace=False)
        return collate([snippets[row] for row in rows])

    trainer.run(batch, lambda networks: {})
    return trainer.average.network


def translation_scale_ratio(networks: NetworkPair, snippets: list[Snippet]) -> float:
    batch = collate(snippets)
    return measure_scale(
        networks.depth, networks.pose, [batch], ObjectiveConfig()
    ).translation_scale_ratio


@pytest.mark.slow
def test_velocity_loss_brings_the_metres(drive, tmp_path) -> None:
    torch.set_num_threads(1)
    ratio = translation_scale_ratio(train(drive[0], 0.3, tmp_path), drive[1])
    assert ratio == pytest.approx(1.0, abs=0.05)


@pytest.mark.slow
def test_without_it_the_scale_is_anything(drive, tmp_path) -> None:
    torch.set_num_threads(1)
    ratio = translation_scale_ratio(train(drive[0], 0.0, tmp_path), drive[1])
    assert abs(ratio - 1.0) > 0.2
