# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scale is measured from images and odometer alone."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.snippets.batch import SnippetBatch, collate
from sfm_depth_ros.training.scale_calibration import (
    calibrate_scale,
    measure_scale,
    measure_widely,
)


class Oracle(nn.Module):
    """Answers the truth of one batch, times a factor."""

    config = SimpleNamespace(reference_focal=57.0, has_extras=False)

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = answer


class DepthOracle(Oracle):
    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        return [self.answer]


class PoseOracle(Oracle):
    images = 2

    def forward(self, stack: torch.Tensor) -> torch.Tensor:
        return self.answer


@pytest.fixture
def batch(plane_snippets) -> SnippetBatch:
    return collate(plane_snippets(6, with_truth=True))


def oracles(batch: SnippetBatch, depth_factor: float, translation_factor: float):
    canonical = 57.0 / batch.K[0, 0, 0].item()
    motion = torch.zeros(2 * len(batch), 6)
    motion[:, 2] = batch.displacements.T.flatten() * canonical * translation_factor
    depth = batch.depth * canonical * depth_factor
    return DepthOracle(depth), PoseOracle(motion)


@pytest.mark.parametrize(("depth", "translation"), [(1.0, 1.0), (0.7, 1.4), (1.5, 0.6)])
def test_finds_the_factors_that_are_missing(batch, depth, translation) -> None:
    factors = calibrate_scale(*oracles(batch, depth, translation), [batch], ObjectiveConfig())
    assert factors[0] == pytest.approx(1 / depth, rel=0.02)
    assert factors[1] == pytest.approx(1 / translation, rel=1e-4)


def test_a_search_that_ends_at_its_limit_is_known_as_such(batch) -> None:
    networks = oracles(batch, 4.0, 1.0)
    assert measure_widely(*networks, [batch], ObjectiveConfig()).is_at_limit
    assert not measure_widely(*oracles(batch, 1.5, 1.0), [batch], ObjectiveConfig()).is_at_limit


def test_one_outlier_does_not_move_the_translation(batch) -> None:
    depth_net, pose_net = oracles(batch, 1.0, 1.0)
    pose_net.answer[0] *= 30
    found = measure_scale(depth_net, pose_net, [batch], ObjectiveConfig())
    assert found.translation_factor == pytest.approx(1.0, rel=1e-4)
    assert found.translation_deviation == pytest.approx(0.0, abs=1e-4)


def test_true_depth_explains_the_images_better(batch) -> None:
    right = measure_scale(*oracles(batch, 1.0, 1.0), [batch], ObjectiveConfig())
    wrong = measure_scale(*oracles(batch, 1.4, 1.0), [batch], ObjectiveConfig())
    assert right.photometric < 0.7 * wrong.photometric


def test_without_displacements_nothing_is_measured(batch) -> None:
    unknown = SnippetBatch(
        batch.target, batch.sources, batch.K, torch.full_like(batch.displacements, math.nan)
    )
    networks = oracles(batch, 1.0, 1.0)
    assert calibrate_scale(*networks, [unknown], ObjectiveConfig()) == (1.0, 1.0)
    assert math.isnan(measure_scale(*networks, [unknown], ObjectiveConfig()).photometric)
