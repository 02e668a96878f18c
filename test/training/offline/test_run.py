# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who judges by what: rendered snippets by truth, recorded ones by what a robot has."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from tiny_run import source_of

from sfm_depth_ros.bags.selection import BagSelection, WeightedBag
from sfm_depth_ros.config.schema import (
    DepthNetworkConfig,
    ObjectiveConfig,
    OfflineTrainingConfig,
    RecipeConfig,
)
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.snippets.batch import collate
from sfm_depth_ros.training.offline import judge
from sfm_depth_ros.training.offline.data import TrainingData
from sfm_depth_ros.training.offline.processes import Processes
from sfm_depth_ros.training.offline.run import DataJudge, TrainingRun, for_machine
from sfm_depth_ros.training.step import training_step
from sfm_depth_ros.training.validation import measure_without_truth


@pytest.fixture
def networks(tiny_networks):
    return tiny_networks().eval()


def test_translation_error_by_hand(plane_snippets, networks) -> None:
    snippets = plane_snippets(3)
    batch = collate(snippets)
    found = measure_without_truth(networks, [batch, collate(snippets[:1])], ObjectiveConfig())
    with torch.no_grad():
        result = training_step(networks.depth, networks.pose, batch, ObjectiveConfig())
    lengths = np.linalg.norm(result.T_source_target.numpy()[..., :3, 3], axis=-1)
    lengths = np.concatenate([lengths.ravel(), lengths[0]])
    measured = np.concatenate([s.displacements for s in (*snippets, snippets[0])])
    floor = np.maximum(measured, 0.1)
    assert found["translation_error"] == pytest.approx(
        np.mean(np.abs(lengths - measured) / floor), 1e-4
    )
    assert found["snippets"] == 4
    assert 0 < found["photometric"] < 1


@pytest.mark.parametrize("metres", [0.05, 0.5])
def test_the_scale_of_a_slow_robot_is_relative_to_its_own_path(
    plane_snippets, networks, metres: float
) -> None:
    slow = [
        dataclasses.replace(snippet, displacements=np.full(2, metres, np.float32))
        for snippet in plane_snippets(3)
    ]
    found = measure_without_truth(networks, [collate(slow)], ObjectiveConfig())
    with torch.no_grad():
        result = training_step(networks.depth, networks.pose, collate(slow), ObjectiveConfig())
    lengths = result.T_source_target[..., :3, 3].norm(dim=-1)
    assert found["measured_scale_ratio"] == pytest.approx(float(lengths.median()) / metres, 1e-4)


def test_images_are_judged_where_training_does_not_look_at_them(
    tiny_networks, plane_snippets
) -> None:
    networks, batches = tiny_networks().eval(), [collate(plane_snippets(1))]
    looking, blind = (
        measure_without_truth(networks, batches, ObjectiveConfig(photometric_weight=weight))
        for weight in (1.0, 0.0)
    )
    assert blind == looking


def test_truth_of_a_bag_is_reported_and_decides_nothing(
    tmp_path, plane_snippets, networks
) -> None:
    with_truth = source_of(tmp_path / "a", plane_snippets(3, with_truth=True))
    without = source_of(tmp_path / "b", plane_snippets(3))
    config, objective = OfflineTrainingConfig(), ObjectiveConfig()
    scores = {}
    for name, recorded in (("with", with_truth), ("without", without)):
        data = TrainingData([], [], config, (), [recorded])
        scores[name] = DataJudge(data, objective, "cpu")(networks)
    assert scores["with"]["score"] == pytest.approx(scores["without"]["score"])
    assert scores["with"]["recorded_abs_rel"] > 0
    for name in ("recorded_translation_error", "recorded_measured_scale_ratio"):
        assert scores["with"][name] == pytest.approx(scores["without"][name])
    assert "recorded_abs_rel" not in scores["without"]


def test_rendered_ones_alone_decide_by_depth(tmp_path, plane_snippets, networks) -> None:
    rendered = source_of(tmp_path / "a", plane_snippets(3, with_truth=True))
    data = TrainingData([rendered], [], OfflineTrainingConfig(), [rendered])
    found = DataJudge(data, ObjectiveConfig(), "cpu")(networks)
    assert found["score"] == found["abs_rel"] > 0
    assert DataJudge(TrainingData([], [], data.config), ObjectiveConfig(), "cpu")(networks) == {}


def test_both_are_reported_and_the_recorded_ones_decide(
    tmp_path, plane_snippets, networks, monkeypatch
) -> None:
    rendered = source_of(tmp_path / "a", plane_snippets(2, with_truth=True))
    recorded = source_of(tmp_path / "b", plane_snippets(2))
    data = TrainingData([rendered], [recorded], OfflineTrainingConfig(), [rendered], [recorded])
    monkeypatch.setattr(
        judge,
        "measure_without_truth",
        lambda *_: {"photometric": 0.25, "translation_error": 0.5},
    )
    found = DataJudge(data, ObjectiveConfig(), "cpu")(networks)
    assert found["score"] == 0.75
    assert found["abs_rel"] > 0


def test_metres_come_from_a_measurement_or_from_rendered_truth(tmp_path) -> None:
    alone = ObjectiveConfig(velocity_weight=0.0)
    bags = [WeightedBag(BagSelection(tmp_path), 1.0)]

    def has_metres(objective: ObjectiveConfig, **data: object) -> bool:
        return TrainingRun(RecipeConfig(objective=objective), tmp_path, **data).has_metres

    assert not has_metres(alone, bags=bags)
    assert has_metres(alone, bags=bags, rendered=4)
    assert has_metres(ObjectiveConfig(velocity_weight=0.1), bags=bags)
    assert has_metres(dataclasses.replace(alone, warp_motion="measured"), bags=bags)
    no_truth = dataclasses.replace(alone, supervised_weight=0.0)
    assert not has_metres(no_truth, bags=bags, rendered=4)


def test_sizes_that_the_network_cannot_take_are_refused() -> None:
    transformer = DepthNetworkConfig(name="depth_anything_v2_small", head="inverse-affine")
    fits = OfflineTrainingConfig(width=252, synthetic_heights=(140.0,))
    recipe = RecipeConfig(depth=transformer, training=fits)
    assert for_machine(recipe, None, Processes()).training.multiple == 14
    wrong = RecipeConfig(depth=transformer, training=OfflineTrainingConfig(width=224))
    with pytest.raises(ConfigError, match=r"multiples of 14.*for example 126 and \[70\]"):
        for_machine(wrong, None, Processes())
    with pytest.raises(ConfigError, match="multiples of 32"):
        for_machine(RecipeConfig(training=fits), None, Processes())
