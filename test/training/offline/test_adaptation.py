# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Adaptation: time, parts of long bags, the judge in metres, the way back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from exact_drive import base_to_camera, make_drive, write_bag
from random_model import untrained
from tiny_run import source_of

from sfm_depth_ros.bags.frames import read_frames
from sfm_depth_ros.bags.selection import BagSelection, WeightedBag
from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.config.schema import ObjectiveConfig, OfflineTrainingConfig
from sfm_depth_ros.errors import ConfigError, TrainingError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.model_folder.saving import save_model
from sfm_depth_ros.snippets.values import Velocity
from sfm_depth_ros.training.offline import adaptation
from sfm_depth_ros.training.offline.adaptation import (
    AdaptationPlan,
    LandmarkJudge,
    open_bags,
    sampled,
    spread_parts,
    thinned,
    train_minutes,
    write_back,
)
from sfm_depth_ros.training.offline.data import TrainingData
from sfm_depth_ros.training.offline.run import DataJudge


def test_preparation_counts_but_half_of_the_minutes_trains() -> None:
    assert train_minutes(20, prepared_s=240) == pytest.approx(20 - 4 - 1.0)
    assert train_minutes(20, prepared_s=1800) == 10


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> BagSelection:
    drive = make_drive(21, speed=6.0)  # two seconds
    return BagSelection(write_bag(tmp_path_factory.mktemp("bags") / "drive", drive))


def test_parts_of_a_long_bag_are_spread_over_it(bag, monkeypatch) -> None:
    monkeypatch.setattr(adaptation, "PART_S", 0.2)
    parts = spread_parts(
        read_frames(bag, NetworkInput(320)), share=0.4
    )  # 0.8 s of 2 s in parts of 0.2 s
    assert [(part.start_s, part.end_s) for part in parts] == [
        (0.15, 0.35), (0.65, 0.85), (1.15, 1.35), (1.65, 1.85)
    ]  # fmt: skip


def test_parts_stay_within_the_part_that_was_asked_for(bag, monkeypatch) -> None:
    monkeypatch.setattr(adaptation, "PART_S", 0.5)
    (part,) = spread_parts(
        read_frames(dataclasses.replace(bag, start_s=1.0), NetworkInput(320)), share=0.5
    )
    assert (part.start_s, part.end_s) == (1.25, 1.75)


def test_a_very_long_bag_has_few_long_parts(bag, monkeypatch) -> None:
    monkeypatch.setattr(adaptation, "PART_S", 0.01)
    parts = spread_parts(read_frames(bag, NetworkInput(320)), share=0.6)
    assert len(parts) == adaptation.MOST_PARTS
    assert sum(part.end_s - part.start_s for part in parts) == pytest.approx(1.2, abs=0.06)


def test_a_short_bag_is_taken_whole(bag) -> None:
    given = [WeightedBag(bag, 2.0)]
    opened = open_bags(given, 320)
    assert sampled(given, opened, most_images=21) == given
    (part,) = sampled(given, opened, most_images=10)
    assert part.weight == 2.0
    assert not part.selection.is_whole


def test_bags_are_read_at_the_width_of_the_narrowest_camera(bag, tmp_path) -> None:
    camera = CameraModel.from_intrinsics(Intrinsics.from_hfov(60.0, 170, 96), "camera")
    with BagWriter(tmp_path / "narrow") as writer:
        writer.write_static_transform(0, "base_link", "camera", base_to_camera())
        writer.write_odometry(Velocity(0, np.ones(3), np.zeros(3)))
        writer.write_camera_info(0, camera)
        writer.write_image(0, np.zeros((96, 170, 3), np.uint8), "camera")
    both = [WeightedBag(bag), WeightedBag(BagSelection(tmp_path / "narrow"))]
    assert [frames.preprocessor.size[0] for frames in open_bags(both[:1], 320)] == [320]
    assert [frames.preprocessor.size[0] for frames in open_bags(both, 320)] == [160, 160]


def _data(tmp_path, plane_snippets, factor: float = 1.0) -> TrainingData:
    """Held-out snippets whose landmarks are the truth times a factor, at every eighth pixel."""
    labelled = []
    for snippet in plane_snippets(3, with_truth=True):
        sparse = np.zeros_like(snippet.depth)
        sparse[::8, ::8] = factor * snippet.depth[::8, ::8]
        labelled.append(dataclasses.replace(snippet, sparse_depth=sparse, depth=None))
    recorded = source_of(tmp_path / "recorded", labelled)
    return TrainingData([], [recorded], OfflineTrainingConfig(width=96), (), [recorded])


def test_landmarks_decide(tmp_path, plane_snippets, tiny_networks) -> None:
    data = _data(tmp_path, plane_snippets)
    networks = tiny_networks().eval()
    judge = LandmarkJudge(DataJudge(data, ObjectiveConfig(), "cpu"))
    found = judge(networks)
    batch = data.recorded_validation[0].cache.batch(data.recorded_validation[0].rows)
    depth = networks.depth(batch.target)[0] * (batch.K[:, 0, 0] / 57.0).view(-1, 1, 1, 1)
    known = batch.sparse_depth > 0
    by_hand = [
        float(((d[k] - s[k]).abs() / s[k]).mean())
        for d, s, k in zip(depth.detach(), batch.sparse_depth, known, strict=True)
    ]
    assert found["score"] == found["landmark_abs_rel"] == pytest.approx(np.mean(by_hand), 1e-3)
    assert found["landmark_snippets"] == 3


def test_without_landmarks_images_decide(tmp_path, plane_snippets, tiny_networks) -> None:
    recorded = source_of(tmp_path / "recorded", plane_snippets(3))
    data = TrainingData([], [recorded], OfflineTrainingConfig(width=96), (), [recorded])
    by_images = DataJudge(data, ObjectiveConfig(), "cpu")
    networks = tiny_networks().eval()
    assert LandmarkJudge(by_images)(networks)["score"] == by_images(networks)["score"]


def test_few_held_out_snippets_are_judged(tmp_path, plane_snippets, monkeypatch) -> None:
    monkeypatch.setattr(adaptation, "MOST_JUDGED", 2)
    data = thinned(_data(tmp_path, plane_snippets))
    assert [list(source.rows) for source in data.recorded_validation] == [[0, 2]]


@pytest.fixture
def tiny_model(tmp_path, tiny_networks):
    networks = tiny_networks()
    return save_model(tmp_path, networks.depth, networks.pose, metadata=untrained(96), name="tiny")


def test_a_plan_is_kept_and_compared(tmp_path) -> None:
    plan = AdaptationPlan(["a=1"], "0123", 15.5, {"score": 0.4, "photometric": float("nan")})
    plan.write(tmp_path)
    again = AdaptationPlan.read(tmp_path)
    assert again == dataclasses.replace(plan, before={"score": 0.4})
    again.require_same(["a=1"], "0123", tmp_path)
    with pytest.raises(ConfigError, match="other bags"):
        again.require_same(["b=1"], "0123", tmp_path)
    with pytest.raises(ConfigError, match="other model"):
        again.require_same(["a=1"], "4567", tmp_path)


def test_a_damaged_plan_names_the_remedy(tmp_path) -> None:
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(TrainingError, match="remove that folder"):
        AdaptationPlan.read(tmp_path)


def test_the_first_model_is_written_back_as_it_was(tmp_path, tiny_model) -> None:
    copy = write_back(tiny_model, tmp_path / "out")
    assert copy.model_id == tiny_model.model_id
    assert copy.metadata == tiny_model.metadata
