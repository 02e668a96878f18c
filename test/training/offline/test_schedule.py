# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Phases: which networks learn when, and that the others stay out of the gradient."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sfm_depth_ros.config.loading import load_config
from sfm_depth_ros.config.schema import ObjectiveConfig, OfflineTrainingConfig, RecipeConfig
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.share import find_share
from sfm_depth_ros.snippets.batch import collate
from sfm_depth_ros.training.network_pair import with_companions
from sfm_depth_ros.training.offline.schedule import BOOTSTRAP, CYCLE, TOGETHER, phase_of
from sfm_depth_ros.training.step import StepOptions, training_step
from sfm_depth_ros.training.validation import measure_without_truth

OBJECTIVE = ObjectiveConfig(
    reduction="mean", auto_mask=False, flow_weight=1.0, flow_smoothness_weight=0.1,
    moderation_weight=0.1, consensus_weight=0.3,
)  # fmt: skip


def test_the_schedule() -> None:
    assert phase_of(100, 0.1, 0, OBJECTIVE) is TOGETHER
    assert phase_of(100, 0.1, 5, OBJECTIVE) is BOOTSTRAP
    aligning = dataclasses.replace(OBJECTIVE, direct_alignment="refine")
    assert phase_of(100, 0.1, 0, aligning) is BOOTSTRAP
    assert phase_of(100, 0.9, 0, aligning) is TOGETHER
    assert [phase_of(step, 0.5, 2, OBJECTIVE) for step in range(8)] == [
        CYCLE[k] for k in (0, 0, 1, 1, 2, 2, 0, 0)
    ]


@pytest.mark.parametrize("phase", [TOGETHER, BOOTSTRAP, *CYCLE], ids=lambda phase: phase.name)
def test_only_learners_get_a_gradient(phase, tiny_networks, plane_snippets) -> None:
    networks = with_companions(tiny_networks(), OBJECTIVE, seed=0).train()
    options = StepOptions(companions=networks.companions, is_bootstrap=phase.is_bootstrap)
    with phase.only_learners(networks):
        terms = training_step(
            networks.depth, networks.pose, collate(plane_snippets(2)), OBJECTIVE, options
        ).terms
    terms.total.backward()
    learning = {
        name for name, p in networks.named_parameters() if p.grad is not None and p.grad.any()
    }
    everything = ("depth", "pose", "companions.flow", "companions.moderator")
    wanted = phase.learners or (everything[:3] if phase.is_bootstrap else everything)
    assert {name for name in learning if not name.startswith(wanted)} == set()
    for network in wanted:
        assert any(name.startswith(network) for name in learning), network
    assert all(p.requires_grad for p in networks.parameters())
    assert (terms.moderation is None) == phase.is_bootstrap


def test_the_state_has_the_companions(tiny_networks) -> None:
    first, second = (with_companions(tiny_networks(), OBJECTIVE, seed=3) for _ in range(2))
    names = [name for name in first.state_dict() if name.startswith("companions.")]
    assert any("flow" in name for name in names) and any("moderator" in name for name in names)
    assert all(torch.equal(first.state_dict()[name], second.state_dict()[name]) for name in names)
    assert not with_companions(tiny_networks(), ObjectiveConfig(), 0).companions.state_dict()


def test_phases_without_a_moderator_are_refused() -> None:
    training = OfflineTrainingConfig(phase_steps=10, self_supervised_every=1)
    with pytest.raises(ConfigError, match="moderation_weight"):
        RecipeConfig(training=training)
    file = find_share("config/train/competitive_collaboration.yaml")
    recipe: RecipeConfig = load_config(RecipeConfig, file, [])
    late = dataclasses.replace(recipe.training, self_supervised_every=4)
    with pytest.raises(ConfigError, match="self_supervised_every"):
        dataclasses.replace(recipe, training=late)


def test_validation_does_not_leave_out_what_the_mask_does(tiny_networks, plane_snippets) -> None:
    batches = [collate(plane_snippets(2))]
    plain = dataclasses.replace(OBJECTIVE, flow_weight=0.0).without_companions()
    networks = with_companions(tiny_networks(), OBJECTIVE, seed=0).eval()
    found, expected = (
        measure_without_truth(networks, batches, objective) for objective in (OBJECTIVE, plain)
    )
    assert found == expected
