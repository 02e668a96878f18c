# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfm_depth_ros.cli.benchmarks.reference_step import reference_objective
from sfm_depth_ros.cli.benchmarks.step_worker import StepSetting, random_snippets
from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.losses.inputs import Prediction
from sfm_depth_ros.losses.objective import self_supervised_objective
from sfm_depth_ros.snippets.batch import SnippetBatch, collate


def test_both_compositions_compute_the_same_loss_and_gradient() -> None:
    setting = StepSetting(Path(), batch_size=2, width=128, height=64)
    batch = collate(random_snippets(setting)[:2])
    generator = torch.Generator().manual_seed(0)
    depths = [
        (5 + 20 * torch.rand(2, 1, 64 >> s, 128 >> s, generator=generator)).requires_grad_()
        for s in range(4)
    ]
    motions = torch.eye(4).repeat(2, 2, 1, 1)
    motions[:, :, 2, 3] = torch.tensor([-0.4, 0.6])
    config = ObjectiveConfig()
    reference = reference_objective(batch, depths, motions, config)
    gradients = torch.autograd.grad(reference, depths)
    observed = SnippetBatch(batch.target, batch.sources, batch.K, batch.displacements)
    ours = self_supervised_objective(observed, Prediction(depths, motions), config).total
    assert reference.item() == pytest.approx(ours.item(), rel=2e-3)
    for found, expected in zip(torch.autograd.grad(ours, depths), gradients, strict=True):
        assert ((found - expected).norm() / expected.norm()).item() < 0.05
