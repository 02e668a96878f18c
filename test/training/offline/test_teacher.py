# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A teacher model: its disparity in the snippets of a bag, and its weight over a training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from exact_drive import make_drive, write_bag
from random_model import untrained
from tiny_run import CONFIG, make_data

from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.config.schema import ObjectiveConfig, OfflineTrainingConfig
from sfm_depth_ros.errors import ConfigError, ModelError
from sfm_depth_ros.model_folder.saving import save_model
from sfm_depth_ros.training.offline.caches import CacheStore
from sfm_depth_ros.training.offline.loop import OfflineTrainer
from sfm_depth_ros.training.offline.recorded_snippets import recorded_caches
from sfm_depth_ros.training.offline.run_parts import RunParts
from sfm_depth_ros.training.offline.schedule import Schedule, objective_at
from sfm_depth_ros.training.offline.teacher import TeacherModel, read_teacher


@pytest.fixture
def teacher(tmp_path, tiny_networks) -> TeacherModel:
    networks = tiny_networks()
    facts = untrained(160)
    folder = save_model(tmp_path, networks.depth, networks.pose, metadata=facts, name="teacher")
    return TeacherModel(folder)


def test_disparity_is_that_of_the_network_between_0_and_1(teacher, tiny_networks) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (96, 160, 3), dtype=np.uint8)
    found = teacher.disparity(image)
    assert (found.min(), found.max()) == pytest.approx((0.0, 1.0))
    pixels = torch.from_numpy(image).movedim(-1, 0)[None] / 255
    inverse = 1 / tiny_networks().eval().depth.depth(pixels)[0, 0].detach().numpy()
    assert np.corrcoef(found.ravel(), inverse.ravel())[0, 1] > 0.999999


def test_a_large_image_is_seen_at_the_teachers_width(teacher) -> None:
    assert teacher._input_size(192, 640) == (64, 160)
    assert teacher.disparity(np.zeros((192, 640, 3), np.uint8)).shape == (192, 640)


def test_snippets_of_a_bag_carry_it(tmp_path, teacher) -> None:
    bag = BagSelection(write_bag(tmp_path / "drive", make_drive(7, speed=6.0)))
    store = CacheStore(tmp_path / "cache", 2**30)
    config = OfflineTrainingConfig(width=160)
    (cache,) = recorded_caches(bag, config, store, (), teacher)
    snippet = cache.snippet(int(cache.rows[0]))
    np.testing.assert_allclose(
        snippet.teacher_disparity, teacher.disparity(snippet.target), atol=1e-3
    )
    (without,) = recorded_caches(bag, config, store)
    assert without.folder != cache.folder
    assert not without.has("teacher_disparity")


def test_a_teacher_weighs_less_in_the_last_quarter() -> None:
    objective = ObjectiveConfig(teacher_weight=0.1 / 0.9)
    schedule = Schedule(dataclasses.replace(CONFIG, steps=4))
    weights = [
        objective_at(objective, schedule.share_done(step, 0.0)).teacher_weight for step in range(4)
    ]
    assert weights == pytest.approx([1 / 9, 1 / 9, 1 / 9, 1 / 19])


def test_a_student_learns_the_shape_of_its_teacher(tmp_path, tiny_networks) -> None:
    """Disparity that rises to the right, in an unknown unit: the student's does the same."""
    data = make_data(tmp_path / "data", CONFIG)
    ramp = torch.linspace(0, 1, 64).expand(2, 1, 32, 64)
    networks = tiny_networks()
    objective = ObjectiveConfig(
        photometric_weight=0, smoothness_weight=0, velocity_weight=0, supervised_weight=0,
        teacher_weight=1.0,
    )  # fmt: skip
    config = dataclasses.replace(
        CONFIG, steps=30, jitter=False, validate_every=1000, learning_rate=3e-3
    )

    def batch(step):
        plain = data.batch(step)
        return dataclasses.replace(plain, depth=None, teacher_disparity=ramp.clone())

    trainer = OfflineTrainer(networks, RunParts(tmp_path / "run", config, objective))
    terms = []
    step = trainer._step
    trainer._step = lambda b: terms.append(step(b)) or terms[-1]
    trainer.run(batch, lambda networks: {})
    assert terms[-1]["teacher"] < 0.6 * terms[0]["teacher"]


def test_no_teacher_and_a_missing_one(tmp_path) -> None:
    assert read_teacher("", "cpu") is None
    with pytest.raises(ModelError):
        read_teacher(str(tmp_path / "nowhere"), "cpu")


def test_an_imported_graph_cannot_teach(teacher) -> None:
    class Foreign:
        is_foreign = True
        path = "graph"

    with pytest.raises(ConfigError, match="import the network's checkpoint"):
        TeacherModel(Foreign())
