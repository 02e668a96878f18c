# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rehearsal by what an earlier network predicts."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sfm_depth_ros.config.schema import ObjectiveConfig, OfflineTrainingConfig
from sfm_depth_ros.snippets.batch import collate
from sfm_depth_ros.training.offline.loop import OfflineTrainer
from sfm_depth_ros.training.offline.run_parts import RunParts
from sfm_depth_ros.training.recall import FirstModel, recalled

CONFIG = OfflineTrainingConfig(
    steps=4, batch_size=2, jitter=False, self_supervised_every=0, warmup_steps=0, validate_every=99
)


@pytest.fixture
def batch(plane_snippets):
    return collate(plane_snippets(2, with_truth=True))


def test_depth_is_the_networks_and_motion_stays(batch, tiny_networks) -> None:
    depth_net = tiny_networks(1).depth.eval()
    seen = recalled(batch, depth_net, mixed_precision=False)
    stretch = (batch.K[:, 0, 0] / 57.0).view(-1, 1, 1, 1)
    assert torch.allclose(seen.depth, depth_net(batch.target)[0] * stretch, rtol=1e-5)
    assert not seen.depth.requires_grad
    assert seen.T_source_target is batch.T_source_target


def _trainer(networks, folder, remembered) -> OfflineTrainer:
    objective = ObjectiveConfig(velocity_weight=0.0, smoothness_weight=0.0)
    parts = RunParts(folder, CONFIG, objective, keeps_statistics=True, remembered=remembered)
    return OfflineTrainer(networks, parts)


def test_what_is_remembered_costs_nothing_until_it_moves(batch, tiny_networks, tmp_path) -> None:
    """The network's own depth is no error (but for its coarse scales), the truth is."""
    first = tiny_networks().depth.eval()
    own = _trainer(tiny_networks(), tmp_path, first)._step(batch)["depth_supervision"]
    true = _trainer(tiny_networks(), tmp_path, None)._step(batch)["depth_supervision"]
    assert own < 0.02 * true


def test_recordings_are_not_touched(batch, tiny_networks, tmp_path) -> None:
    recorded = dataclasses.replace(batch, depth=None, T_source_target=None)
    terms = _trainer(tiny_networks(), tmp_path, tiny_networks().depth.eval())._step(recorded)
    assert "depth_supervision" not in terms


def test_rendered_snippets_alone_are_recalled_in_the_size_of_the_truth(
    plane_snippets, batch, tiny_networks
) -> None:
    mixed = collate([*plane_snippets(1, seed=1), *plane_snippets(2, with_truth=True)])
    depth_net = tiny_networks(1).depth.eval()
    seen = FirstModel(depth_net, size=1.25).recalled_from(1, mixed, mixed_precision=False)
    assert torch.equal(seen.depth[:1], mixed.depth[:1])
    expected = recalled(batch, depth_net, mixed_precision=False).depth / 1.25
    assert torch.allclose(seen.depth[1:], expected, rtol=1e-5)
    assert FirstModel(depth_net).recalled_from(3, mixed, mixed_precision=False) is mixed
