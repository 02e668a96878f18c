# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One training step: what it predicts, what it sums, what it leaves out."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sfm_depth_ros.config.schema import DepthNetworkConfig, ObjectiveConfig, PoseNetworkConfig
from sfm_depth_ros.losses.objective import TERMS
from sfm_depth_ros.snippets.batch import SnippetBatch, collate
from sfm_depth_ros.training.network_pair import fresh_networks
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
        terms.photometric
        + 0.02 * terms.smoothness
        + 0.3 * terms.velocity
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
    step(
        networks, batch, photometric_scales=1, config=ObjectiveConfig(supervised_weight=0.0)
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


class Counting(torch.nn.Module):
    """A depth network that remembers how many images each call had."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network, self.config, self.calls = network, network.config, []

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        self.calls.append(len(image))
        return self.network(image)


def beside(batch: SnippetBatch) -> SnippetBatch:
    """The batch with a second image, marked things and measured motions."""
    T = torch.eye(4).repeat(len(batch), 1, 1)
    T[:, 0, 3] = -0.3
    instances = torch.zeros(len(batch), 3, *batch.target.shape[-2:], dtype=torch.uint8)
    instances[..., 20:30, 40:60] = 3
    return dataclasses.replace(
        batch,
        right=batch.target.roll(-3, -1),
        T_right_target=T,
        instances=instances,
        T_measured=batch.T_source_target,
    )


@pytest.mark.parametrize(
    ("objective", "rows", "images"),
    [
        ({}, None, 2),
        ({"consistency_weight": 0.1}, None, 6),
        ({"consistency_weight": 0.1}, 1, 4),
        ({"consistency_weight": 0.1, "left_right_weight": 0.1}, 0, 2),
        ({"left_right_weight": 0.1}, None, 4),
        ({"left_right_weight": 0.1, "self_discovered_mask": True}, 1, 5),
    ],
)
def test_all_depths_come_from_one_call(tiny_networks, batch, objective, rows, images) -> None:
    networks = tiny_networks().train()
    counting = Counting(networks.depth)
    config = ObjectiveConfig(**objective)
    options = StepOptions(photometric_rows=rows)
    training_step(counting, networks.pose, beside(batch), config, options)
    assert counting.calls == [images]


class Brightness(torch.nn.Module):
    """A depth network that says how bright an image is, everywhere."""

    config = DepthNetworkConfig(reference_focal=57.0)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        return [image.mean((1, 2, 3), keepdim=True).expand(-1, 1, *image.shape[-2:])]


def test_depths_beside_the_target_are_those_of_their_images(tiny_networks, batch) -> None:
    networks = tiny_networks().eval()
    torch.nn.init.zeros_(networks.pose.head.weight)  # the camera stands still
    torch.nn.init.zeros_(networks.pose.head.bias)
    factors = torch.tensor([[1.0, 0.8, 0.5, 0.7], [0.9, 0.4, 0.6, 0.3]])  # target, sources, right
    seen = beside(batch)
    seen = dataclasses.replace(
        seen,
        target=torch.ones_like(seen.target) * factors[:, :1, None, None],
        sources=torch.ones_like(seen.sources) * factors[:, 1:3, None, None, None],
        right=torch.ones_like(seen.target) * factors[:, 3:, None, None],
    )
    config = ObjectiveConfig(consistency_weight=1.0, left_right_weight=1.0, supervised_weight=0.0)
    terms = training_step(Brightness(), networks.pose, seen, config).terms
    target, sources, right = factors[:, :1], factors[:, 1:3], factors[:, 3:]
    expected = ((target - sources).abs() / (target + sources)).mean()
    assert terms.consistency.item() == pytest.approx(expected.item(), rel=1e-5)
    # fx baseline / depth with depth = factor fx / 57: the focal length leaves
    apart = (57 * 0.3 * (1 / target - 1 / right)).abs() / batch.target.shape[-1]
    assert terms.left_right.item() == pytest.approx(2 * apart.mean().item(), rel=0.2)


WITHOUT_DATA = (
    "sparse_depth",
    "scale_invariant",
    "gradient_matching",
    "flow",
    "flow_smoothness",
    "flow_consistency",
    "cross_task",
    "moderation",
    "consensus",
    "teacher",
)  # the batch has no measured depth, the step no flow and no larger network


def test_some_rows_alone_with_every_extra(tiny_networks, batch) -> None:
    pose = PoseNetworkConfig(
        width=8,
        reference_focal=57.0,
        explainability=True,
        residual_translation=True,
        learn_intrinsics=True,
    )
    networks = fresh_networks(tiny_networks().depth.config, pose, 0).eval()
    weights = {f"{name}_weight": 0.5 for name in TERMS}
    config = ObjectiveConfig(**weights, use_instance_mask=True, direct_alignment="refine")
    first = step(networks, beside(batch), config, photometric_rows=1).terms
    alone = step(networks, beside(batch).select(slice(0, 1)), config).terms
    for name in TERMS:
        if getattr(alone, name) is None:
            assert name in WITHOUT_DATA and getattr(first, name) is None
        else:
            expected = getattr(alone, name).item()
            assert getattr(first, name).item() == pytest.approx(expected, rel=1e-3, abs=1e-6), name


def test_the_predicted_camera_is_used_everywhere(tiny_networks, batch) -> None:
    pose = PoseNetworkConfig(width=8, reference_focal=57.0, learn_intrinsics=True)
    networks = fresh_networks(tiny_networks().depth.config, pose, 0).train()
    torch.nn.init.normal_(networks.pose.head.weight, std=3.0)  # motion enough to see it
    config = ObjectiveConfig(supervised_weight=0.0, auto_mask=False)
    step(networks, batch, config).terms.photometric.backward()
    assert networks.pose.intrinsics.shared.grad.all()
    with torch.no_grad():
        before = step(networks, batch, config).terms.photometric.item()
        networks.pose.intrinsics.shared[0] += 0.02
        longer = step(networks, batch, config).terms.photometric.item()
    assert longer != pytest.approx(before, rel=1e-4)


def test_jitter_changes_the_second_image_alike(tiny_networks, batch) -> None:
    shapes = []

    def remember(frames: torch.Tensor) -> torch.Tensor:
        shapes.append(frames.shape[1])
        return frames

    for weight in (0.0, 0.1):
        config = ObjectiveConfig(left_right_weight=weight)
        step(tiny_networks(), beside(batch), config, jitter=remember)
    assert shapes == [3, 4]
