# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A pose network that sees three images at once learns and is judged as one of pairs."""

from __future__ import annotations

import math

import pytest
import torch

from sfm_depth_ros.config.schema import (
    DepthNetworkConfig,
    ObjectiveConfig,
    OnlineTrainingConfig,
    PoseNetworkConfig,
)
from sfm_depth_ros.networks import posenet
from sfm_depth_ros.snippets.batch import SnippetBatch, collate
from sfm_depth_ros.training.network_pair import NetworkPair, fresh_networks
from sfm_depth_ros.training.online.learner import OnlineLearner
from sfm_depth_ros.training.scale_calibration import calibrate_scale
from sfm_depth_ros.training.validation import validate


@pytest.fixture(params=["native", "packnet_sfm"])
def networks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> NetworkPair:
    monkeypatch.setattr(posenet, "CHANNELS", (16, 16, 16, 32, 32, 32, 32))
    pose = PoseNetworkConfig(name="posenet", convention=request.param, reference_focal=57.0)
    depth = DepthNetworkConfig(width=8, reference_focal=57.0, max_depth=60.0)
    return fresh_networks(depth, pose, seed=0)


@pytest.fixture
def batch(plane_snippets) -> SnippetBatch:
    return collate(plane_snippets(4, with_truth=True))


def test_the_online_learner_teaches_it(networks: NetworkPair, batch: SnippetBatch) -> None:
    training = OnlineTrainingConfig(
        warmup_steps=1, learning_rate=2e-3, average_decay=0.5, mixed_precision="off"
    )
    learner = OnlineLearner(networks, training, ObjectiveConfig())
    taught = learner.networks
    before = {name: p.detach().clone() for name, p in taught.pose.named_parameters()}
    first = validate(taught.depth, taught.pose, [batch]).translation_error
    for _ in range(20):
        assert learner.step(batch, live=2)
    still = [name for name, p in taught.pose.named_parameters() if torch.equal(p, before[name])]
    assert still == []
    assert validate(taught.depth, taught.pose, [batch]).translation_error < 0.97 * first


def test_its_scale_is_measured(networks: NetworkPair, batch: SnippetBatch) -> None:
    networks.eval()
    _, translation = calibrate_scale(networks.depth, networks.pose, [batch], ObjectiveConfig())
    assert math.isfinite(translation)
    networks.scale(1.0, translation)
    _, again = calibrate_scale(networks.depth, networks.pose, [batch], ObjectiveConfig())
    assert again == pytest.approx(1.0, rel=1e-3)
