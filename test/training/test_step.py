# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One training step: what it predicts, what it sums, what it leaves out."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.data.batch import collate
from sfm_depth_ros.training.step import StepOptions, training_step


@pytest.fixture
def batch(plane_snippets):
    return collate(plane_snippets(2, with_truth=True))


def step(networks, batch, config=None, **options):
    config = config or ObjectiveConfig()
    return training_step(networks.depth, networks.pose, batch, config, StepOptions(**options))


def test_total_is_the_weighted_sum_of_the_named_terms(tiny_networks, batch) -> None:
    config = ObjectiveConfig(velocity_weight=0.3, smoothness_weight=0.02, supervised_weight=0.7)
    terms = step(tiny_networks(), batch, config).terms
    expected = (
        terms.photometric + 0.02 * terms.smoothness + 0.3 * terms.velocity
        + 0.7 * (terms.depth_supervision + terms.motion_supervision)
    )
    assert terms.total.item() == pytest.approx(expected.item(), rel=1e-5)
    assert min(terms.as_floats().values()) > 0


def test_every_parameter_gets_a_gradient(tiny_networks, batch) -> None:
    networks = tiny_networks().train()
    step(networks, batch).terms.total.backward()
    without = [name for name, p in networks.named_parameters() if p.grad is None]
    assert without == []


def test_supervision_alone_skips_the_photometric_part(tiny_networks, batch) -> None:
    terms = step(tiny_networks(), batch, photometric_rows=0).terms
    assert terms.photometric is None
    assert terms.smoothness is None
    assert terms.velocity.item() > 0
    assert terms.depth_supervision.item() > 0


def test_the_objective_may_judge_some_snippets_only(tiny_networks, batch) -> None:
    networks = tiny_networks().eval()
    first = step(networks, batch, photometric_rows=1).terms
    alone = step(networks, batch.select(slice(0, 1))).terms
    assert first.photometric.item() == pytest.approx(alone.photometric.item(), rel=1e-4)
    assert first.velocity.item() == pytest.approx(alone.velocity.item(), rel=1e-4)
    both = step(networks, batch, photometric_rows=0).terms
    assert first.depth_supervision.item() == pytest.approx(both.depth_supervision.item())


def test_the_objective_may_look_at_the_finest_scale_alone(tiny_networks, batch) -> None:
    networks = tiny_networks().train()
    step(networks, batch, photometric_scales=1, config=ObjectiveConfig(supervised_weight=0.0)
         ).terms.total.backward()
    finest, *coarser = networks.depth.decoder.heads[::-1]
    assert finest.weight.grad.norm() > 0
    assert all(head.weight.grad is None for head in coarser)


def test_without_truth_there_is_no_supervision(tiny_networks, plane_snippets) -> None:
    terms = step(tiny_networks(), collate(plane_snippets(2))).terms
    assert terms.depth_supervision is None
    assert terms.motion_supervision is None


def test_unknown_motions_are_left_out(tiny_networks, plane_snippets) -> None:
    known, unknown = plane_snippets(1, with_truth=True), plane_snippets(1, seed=1)
    networks = tiny_networks().eval()
    mixed = step(networks, collate(known + unknown)).terms
    alone = step(networks, collate(known)).terms
    assert mixed.motion_supervision.item() == pytest.approx(
        alone.motion_supervision.item(), rel=1e-4
    )


def test_jitter_reaches_the_networks_and_not_the_objective(tiny_networks, batch) -> None:
    seen = []

    def black(frames: torch.Tensor) -> torch.Tensor:
        seen.append(frames.shape)
        return torch.zeros_like(frames)

    networks = tiny_networks().eval()
    result = step(networks, batch, jitter=black)
    assert seen == [(2, 3, 3, 64, 96)]
    blank = dataclasses.replace(
        batch, target=torch.zeros_like(batch.target), sources=torch.zeros_like(batch.sources)
    )
    assert torch.allclose(result.depths[0], step(networks, blank).depths[0])
    assert result.terms.photometric.item() > 0.02  # black images would explain each other


def test_mixed_precision_is_close(tiny_networks, batch) -> None:
    networks = tiny_networks().eval()
    exact, coarse = step(networks, batch), step(networks, batch, mixed_precision=True)
    assert coarse.depths[0].dtype == torch.float32
    assert torch.allclose(exact.depths[0], coarse.depths[0], rtol=0.05)
