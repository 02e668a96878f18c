# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors against known truth, with networks that answer the truth times a factor."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from sfm_depth_ros.snippets.batch import SnippetBatch, collate
from sfm_depth_ros.training.validation import validate


def answering(answer: torch.Tensor, wrap: bool):
    def network(_: torch.Tensor):
        return [answer] if wrap else answer

    network.config = SimpleNamespace(reference_focal=57.0, has_extras=False)
    network.images = 2
    return network


@pytest.fixture
def batch(plane_snippets) -> SnippetBatch:
    return collate(plane_snippets(3, with_truth=True))


def networks(batch: SnippetBatch, depth: float, translation: float, pitch: float = 0.0):
    canonical = 57.0 / batch.K[0, 0, 0].item()
    motion = torch.zeros(2 * len(batch), 6)
    motion[:, 2] = batch.displacements.T.flatten() * canonical * translation
    motion[:, 3] = pitch / canonical
    return answering(batch.depth * canonical * depth, True), answering(motion, False)


def test_the_truth_has_no_error(batch) -> None:
    found = validate(*networks(batch, 1.0, 1.0), [batch])
    assert found.abs_rel == pytest.approx(0.0, abs=1e-6)
    assert found.a1 == 1.0
    assert found.depth_scale_ratio == pytest.approx(1.0)
    assert found.translation_scale_ratio == pytest.approx(1.0)
    assert found.translation_error == pytest.approx(0.0, abs=1e-5)
    assert found.frames == 3


def test_wrong_scales_show_each_in_its_own_number(batch) -> None:
    found = validate(*networks(batch, 1.2, 0.9), [batch, batch])
    assert found.abs_rel == pytest.approx(0.2, rel=1e-4)
    assert found.abs_rel_scaled == pytest.approx(0.0, abs=1e-6)
    assert found.depth_scale_ratio == pytest.approx(1.2, rel=1e-5)
    assert found.translation_scale_ratio == pytest.approx(0.9, rel=1e-5)
    assert found.translation_error == pytest.approx(0.1, rel=1e-4)
    assert found.frames == 6


def test_rotation_error_is_the_angle(batch) -> None:
    found = validate(*networks(batch, 1.0, 1.0, pitch=0.01), [batch])
    assert found.rotation_error_deg == pytest.approx(0.573, rel=1e-2)


def test_without_truth_it_refuses(plane_snippets) -> None:
    batch = collate(plane_snippets(2))
    blind = networks(collate(plane_snippets(2, with_truth=True)), 1.0, 1.0)
    with pytest.raises(ValueError, match="true depth"):
        validate(*blind, [batch])
