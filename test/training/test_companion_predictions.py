# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Moving mask: the moderator's probability, both sources together; a picture of it."""

from __future__ import annotations

import pytest
import torch

from sfm_depth_ros.config.schema import DepthNetworkConfig, ObjectiveConfig, PoseNetworkConfig
from sfm_depth_ros.snippets.batch import SnippetBatch, collate
from sfm_depth_ros.training.companion_predictions import MASK_OBJECTIVE, moving_mask
from sfm_depth_ros.training.network_pair import NetworkPair, fresh_networks, with_companions
from sfm_depth_ros.training.offline.observers import example_pictures


@pytest.fixture(scope="module")
def networks() -> NetworkPair:
    pair = fresh_networks(DepthNetworkConfig(width=8), PoseNetworkConfig(width=8), 0)
    return with_companions(pair, MASK_OBJECTIVE, 0).eval()


@pytest.fixture
def batch(plane_snippets) -> SnippetBatch:
    return collate(plane_snippets(2, with_truth=True))


def test_a_fresh_moderator_takes_nothing_for_moving(
    networks: NetworkPair, batch: SnippetBatch
) -> None:
    found = moving_mask(networks, batch)
    assert found is not None and found.shape == batch.target[:, :1].shape
    assert float(found.min()) > 0.05 and float(found.max()) < 0.3  # 1 - 0.88, about


def test_it_is_the_mean_over_sources(
    networks: NetworkPair, batch: SnippetBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (torch.full((1, 1, *batch.target.shape[-2:]), p) for p in (0.9, 0.3))
    static = torch.cat((first, second)).repeat(len(batch.target), 1, 1, 1)
    monkeypatch.setattr(networks.companions.moderator, "forward", lambda *_: static)
    found = moving_mask(networks, batch)
    assert found is not None and found.flatten().tolist() == pytest.approx([0.4] * found.numel())


def test_it_is_a_picture_where_there_is_a_moderator(
    networks: NetworkPair, batch: SnippetBatch
) -> None:
    pictures = example_pictures(networks, batch, ObjectiveConfig())
    assert pictures["moving"].shape == pictures["target"].shape
    alone = NetworkPair(networks.depth, networks.pose).eval()
    assert moving_mask(alone, batch) is None
    assert "moving" not in example_pictures(alone, batch, ObjectiveConfig())
