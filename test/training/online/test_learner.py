# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small careful steps: what moves, what is refused, what rendered snippets may teach."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sfm_depth_ros.config.schema import ObjectiveConfig, OnlineTrainingConfig
from sfm_depth_ros.snippets.batch import collate
from sfm_depth_ros.training.online.guard import rendered_scales
from sfm_depth_ros.training.online.learner import OnlineLearner

TRAINING = OnlineTrainingConfig(
    warmup_steps=4, learning_rate=1e-3, average_decay=0.5, mixed_precision="off"
)


@pytest.fixture
def learner(tiny_networks) -> OnlineLearner:
    return OnlineLearner(tiny_networks(), TRAINING, ObjectiveConfig())


def test_batch_norm_statistics_stay(learner, plane_snippets) -> None:
    before = learner.networks.depth.encoder.stem.norm.running_mean.clone()
    weight = learner.networks.depth.encoder.stem.norm.weight.detach().clone()
    assert learner.step(collate(plane_snippets(2)), live=2)
    assert torch.equal(learner.networks.depth.encoder.stem.norm.running_mean, before)
    assert not torch.equal(learner.networks.depth.encoder.stem.norm.weight, weight)


def test_learning_rate_warms_up_and_again_after_a_restart(learner, plane_snippets) -> None:
    batch = collate(plane_snippets(2))
    rates = []
    for _ in range(5):
        rates.append(learner.learning_rate)
        learner.step(batch, live=2)
    assert rates == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3])
    learner.restart_from(learner.average.network, rate_factor=0.5)
    assert learner.learning_rate == pytest.approx(0.125e-3)


def test_nan_is_refused_and_counted(learner, plane_snippets) -> None:
    batch = collate(plane_snippets(2))
    poisoned = dataclasses.replace(batch, target=batch.target * float("nan"))
    before = [p.detach().clone() for p in learner.networks.parameters()]
    assert not learner.step(poisoned, live=2)
    assert (learner.steps, learner.refused, learner.refused_in_a_row) == (0, 1, 1)
    for old, new in zip(before, learner.networks.parameters(), strict=True):
        assert torch.equal(old, new)
    assert learner.step(batch, live=2)
    assert (learner.refused, learner.refused_in_a_row) == (1, 0)


def _rehearsing(learner, networks, plane_snippets) -> None:
    """Let rendered snippets alone teach, and depth alone count."""
    learner.objective = ObjectiveConfig(
        photometric_weight=0.0, smoothness_weight=0.0, velocity_weight=0.0
    )
    rendered = [collate(plane_snippets(4, seed=1, with_truth=True))]
    learner.know_first_model(networks.eval(), rendered)


@pytest.mark.parametrize("factor", [1.0, 1.2])
def test_what_the_first_model_saw_costs_nothing_also_in_corrected_metres(
    learner, plane_snippets, tiny_networks, factor
) -> None:
    batch = collate(plane_snippets(1) + plane_snippets(2, seed=1, with_truth=True))
    _rehearsing(learner, tiny_networks(), plane_snippets)
    learner.scale(factor, 1.0)  # of the camera: the first model's depths follow
    assert learner.step(batch, live=1)
    own = learner.terms["depth_supervision"]
    learner.training = dataclasses.replace(TRAINING, rehearsal_depth="truth")
    assert learner.step(batch, live=1)
    assert own < 0.1 * learner.terms["depth_supervision"]


def test_the_size_that_the_first_model_sees_outlives_a_restart(
    learner, tiny_networks, plane_snippets
) -> None:
    _rehearsing(learner, tiny_networks(), plane_snippets)
    size = learner.world()[0].item()
    learner.scale(1.2, 1.0)
    again = OnlineLearner(tiny_networks(), TRAINING, ObjectiveConfig())
    again.load(learner.tensors(), learner.values())
    larger = tiny_networks().eval()
    larger.scale(1.5, 1.5)  # as if its drives were rendered anew, through another camera
    again.know_first_model(larger, [collate(plane_snippets(4, seed=1, with_truth=True))])
    assert again.world()[0].item() == pytest.approx(size * 1.2)
    assert again.values()["first_size"] == pytest.approx(size)


def test_another_trained_part_takes_up_the_weights_of_a_restart(
    learner, tiny_networks, plane_snippets
) -> None:
    learner.step(collate(plane_snippets(2)), live=2)
    part = dataclasses.replace(TRAINING, trained_part="decoder")
    again = OnlineLearner(tiny_networks(), part, ObjectiveConfig())
    again.load(learner.tensors(), learner.values())
    assert again.steps == 1
    for new, old in zip(again.networks.parameters(), learner.networks.parameters(), strict=True):
        assert torch.equal(new, old)
    assert again.step(collate(plane_snippets(2)), live=2)


def test_rendered_truth_keeps_the_metres_that_training_began_with(learner, plane_snippets) -> None:
    learner.objective = ObjectiveConfig(
        photometric_weight=0.0, smoothness_weight=0.0, velocity_weight=0.0
    )
    batch = collate(plane_snippets(1) + plane_snippets(2, seed=1, with_truth=True))
    batch.depth[1, :, :9] = torch.inf  # sky
    rendered = [collate(plane_snippets(2, seed=1, with_truth=True))]
    depth, translation = rendered_scales(learner.networks, rendered)
    learner.world.measure(depth, translation)
    learner.networks.scale(1.5, 1.5)
    assert learner.step(batch, live=1)
    assert learner.terms["depth_supervision"] > 0
    assert learner.terms["motion_supervision"] > 0
    for name in ("depth", "pose"):
        assert getattr(learner.networks, name).log_scale.grad > 1e-4  # descent takes it back


def test_rendered_truth_follows_a_factor_of_the_camera_alone(learner) -> None:
    learner.world.measure(1.1, 1.0)
    assert learner.world.is_measured
    learner.scale(1.2, 0.8)
    learner.scale(1.5, 1.5, is_camera=False)
    torch.testing.assert_close(learner.world(), (torch.tensor(1.32), torch.tensor(0.8)))


def test_landmarks_teach_the_cameras_own_snippets(learner, drive) -> None:
    batch = collate(drive(2))
    landmarks = torch.zeros_like(batch.target[:, :1])
    landmarks[:, :, ::8, ::8] = 5.0
    batch = dataclasses.replace(batch, landmarks=landmarks)
    learner.training = dataclasses.replace(TRAINING, landmark_weight=1.0)
    assert learner.step(batch, live=2)
    assert learner.terms["sparse_depth"] > 0
    learner.training = dataclasses.replace(TRAINING, landmark_weight=0.0)
    assert learner.step(batch, live=2)
    assert "sparse_depth" not in learner.terms


def test_scale_moves_networks_and_average_alike(learner, plane_snippets) -> None:
    target = collate(plane_snippets(1)).target
    before = learner.average.network.depth.depth(target)
    learner.scale(1.25, 1.0)
    assert torch.allclose(learner.average.network.depth.depth(target), before * 1.25)
    assert torch.allclose(learner.networks.depth.depth(target), before * 1.25)


@pytest.mark.parametrize("part", ["decoder", "adapters", "normalisation"])
def test_a_part_learns_and_a_plain_model_is_deployed(tiny_networks, plane_snippets, part) -> None:
    training = dataclasses.replace(TRAINING, trained_part=part)
    start = tiny_networks()
    learner = OnlineLearner(start, training, ObjectiveConfig())
    batch = collate(plane_snippets(2))
    assert all(learner.step(batch, live=2) for _ in range(3))
    deployed = learner.average.network.state_dict()
    assert deployed.keys() == start.state_dict().keys()
    moved = {name for name, value in deployed.items() if not value.equal(start.state_dict()[name])}
    assert any(name.startswith("depth.") and name != "depth.log_scale" for name in moved)
    if part == "decoder":
        assert not any(name.startswith("depth.encoder.") for name in moved)
    learner.restart_from(start)
    for name, value in learner.average.network.state_dict().items():
        assert torch.equal(value, start.state_dict()[name])


def test_an_anchor_keeps_weights_near_the_first_ones(tiny_networks, plane_snippets) -> None:
    batch, moved = collate(plane_snippets(2)), []
    for weight in (0.0, 500.0):  # half of the distance at a rate of 1e-3
        start = tiny_networks()
        learner = OnlineLearner(
            start, dataclasses.replace(TRAINING, anchor_weight=weight), ObjectiveConfig()
        )
        for _ in range(6):
            learner.step(batch, live=2)
        pairs = zip(learner.networks.depth.parameters(), start.depth.parameters(), strict=True)
        moved.append(
            sum(float((a - b).detach().square().sum()) for a, b in pairs if a.ndim > 1) ** 0.5
        )
    assert moved[1] < 0.75 * moved[0]
