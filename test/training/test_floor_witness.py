# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The floor of the plane world lies 1.2 m below the camera."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sfm_depth_ros.geometry.frames import R_BASE_OPTICAL
from sfm_depth_ros.snippets.batch import SnippetBatch, collate
from sfm_depth_ros.training.floor_witness import floor_factor


class DepthOracle(nn.Module):
    """Predicts the true depth of one batch, times a factor."""

    config = SimpleNamespace(reference_focal=57.0, has_extras=False)

    def __init__(self, batch: SnippetBatch, factor: float) -> None:
        super().__init__()
        self.depth = batch.depth * (57.0 / batch.K[0, 0, 0].item()) * factor

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        return [self.depth]


@pytest.fixture
def batch(plane_snippets) -> SnippetBatch:
    return collate(plane_snippets(6, with_truth=True))


def mounting(height: float) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[2, 3] = R_BASE_OPTICAL, height
    return T


@pytest.mark.parametrize("factor", [1.0, 0.5, 2.1])
def test_the_height_gives_the_factor(batch, factor: float) -> None:
    found = floor_factor(DepthOracle(batch, factor), [batch], mounting(1.2))
    assert found == pytest.approx(1 / factor, rel=0.03)


def test_without_a_floor_or_a_height_nothing_is_known(batch) -> None:
    oracle = DepthOracle(batch, 1.0)
    assert math.isnan(floor_factor(oracle, [batch], mounting(0.0)))
    assert math.isnan(floor_factor(oracle, [], mounting(1.2)))
    oracle.depth = torch.full_like(oracle.depth, 5.0)  # a wall
    found = floor_factor(oracle, [batch], mounting(1.2))
    assert math.isnan(found)
