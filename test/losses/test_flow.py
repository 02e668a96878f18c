# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Terms of flow and of the moderator on the textured wall, by loops and by gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from losses.textured_wall import (
    HEIGHT,
    PLAIN,
    STEP,
    THING,
    WIDTH,
    own_motion,
    sideways,
    terms,
    texture_of,
    value,
    wall,
    with_moving_thing,
)
from torch import Tensor

from sfm_depth_ros.losses.context import ReprojectionContext
from sfm_depth_ros.losses.flow import cross_task, edge_aware_flow_smoothness, flow_consistency
from sfm_depth_ros.losses.inputs import FlowPrediction, Prediction
from sfm_depth_ros.losses.moderation import binary_cross_entropy, consensus_of
from sfm_depth_ros.snippets.batch import SnippetBatch

F64 = torch.float64


def sliding(*pixels: float) -> Tensor:
    """Flow ``(1, S, 2, H, W)`` of so many pixels to the right, one value a source."""
    field = torch.zeros(1, len(pixels), 2, HEIGHT, WIDTH, dtype=F64)
    field[:, :, 0] = torch.tensor(pixels, dtype=F64)[None, :, None, None]
    return field


def true_flow(static: Tensor | None = None) -> FlowPrediction:
    """The wall is seen one pixel farther right in the earlier image, left in the later one."""
    return FlowPrediction([sliding(1.0, -1.0)], sliding(-1.0, 1.0), static)


def random_field(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 2, 2, HEIGHT, WIDTH, generator=generator, dtype=F64) - 0.5


def test_true_flow_rebuilds_the_target(observed: SnippetBatch, predicted: Prediction) -> None:
    true = replace(predicted, flow=true_flow())
    none = replace(predicted, flow=FlowPrediction([sliding(0, 0)], sliding(0, 0)))
    assert value("flow", observed, true, flow_weight=1.0, ssim_weight=0.0) < 1e-12
    assert value("flow", observed, none, flow_weight=1.0, ssim_weight=0.0) > 0.2


def test_the_photometric_term_equals_the_reference(
    observed: SnippetBatch, predicted: Prediction
) -> None:
    field = sliding(1.0, -1.0) + random_field(0)
    static = 0.2 + 0.6 * random_field(1).abs()[:, :, :1]
    seen = replace(predicted, flow=FlowPrediction([field], -field, static))
    found = value("flow", observed, seen, flow_weight=1.0, ssim_weight=0.0, flow_check="relative")
    errors = []
    for s, v, u in np.ndindex(2, HEIGHT, WIDTH):
        source, back = observed.sources[0, s].numpy(), -field[0, s].numpy()
        f = field[0, s, :, v, u].numpy()
        x, y = u + f[0], v + f[1]
        if not (0 <= x <= WIDTH - 1 and 0 <= y <= HEIGHT - 1):
            continue
        left, top = min(int(x), WIDTH - 2), min(int(y), HEIGHT - 2)
        a, b = x - left, y - top

        def at(image: np.ndarray, left=left, top=top, a=a, b=b) -> np.ndarray:
            upper = (1 - a) * image[:, top, left] + a * image[:, top, left + 1]
            lower = (1 - a) * image[:, top + 1, left] + a * image[:, top + 1, left + 1]
            return (1 - b) * upper + b * lower

        r = at(back)
        if ((f + r) ** 2).sum() < 0.01 * ((f**2).sum() + (r**2).sum()) + 0.5:
            difference = np.abs(at(source) - observed.target[0, :, v, u].numpy()).mean()
            errors.append((1 - float(static[0, s, 0, v, u])) * difference)
    assert found == pytest.approx(np.mean(errors), abs=1e-12)


def test_coarse_flow_compares_images_of_its_size(
    observed: SnippetBatch, predicted: Prediction
) -> None:
    """A flow of half the size, two pixels of the whole image: one of its own."""
    half = torch.zeros(1, 2, 2, HEIGHT // 2, WIDTH // 2, dtype=F64)
    half[:, :, 0] = torch.tensor([2.0, -2.0], dtype=F64)[None, :, None, None]
    seen = replace(predicted, flow=FlowPrediction([sliding(0, 0), half], sliding(0, 0)))
    found = value("flow", observed, seen, flow_weight=1.0, ssim_weight=0.0)
    small = torch.nn.functional.avg_pool2d(observed.sources[0], 2)
    target = torch.nn.functional.avg_pool2d(observed.target[0], 2)
    coarse = [
        (small[0, :, :, 1:] - target[:, :, :-1]).abs().mean(0),
        (small[1, :, :, :-1] - target[:, :, 1:]).abs().mean(0),
    ]
    fine = (observed.sources[0] - observed.target[0]).abs().mean()
    assert found == pytest.approx(float(torch.cat(coarse).mean() + fine) / 2, abs=1e-12)


def test_what_nothing_flows_to_does_not_count(
    observed: SnippetBatch, predicted: Prediction
) -> None:
    backward = sliding(-1.0, 1.0)
    backward[..., 5:9, 6:12] += 100.0  # so that nothing there points into the target
    spoilt = observed.sources.clone()
    spoilt[..., 6:8, 8:10] = 0
    flow = replace(true_flow(), backward=backward)
    found = value("flow", replace(observed, sources=spoilt), replace(predicted, flow=flow),
                  flow_weight=1.0, ssim_weight=0.0)  # fmt: skip
    assert found < 1e-12


def test_hidden_pixels_do_not_count(observed: SnippetBatch, predicted: Prediction) -> None:
    backward = sliding(-1.0, 1.0)
    backward[..., 5:9, 6:12] += 4.0
    spoilt = observed.sources.clone()
    spoilt[..., 6:8, 8:10] = 0
    flow = replace(true_flow(), backward=backward)
    found = value("flow", replace(observed, sources=spoilt), replace(predicted, flow=flow),
                  flow_weight=1.0, ssim_weight=0.0, flow_check="relative")  # fmt: skip
    assert found < 1e-12


def test_smoothness_equals_the_reference() -> None:
    field, image = random_field(0), texture_of(0)[..., :WIDTH]
    expected = 0.0
    f, i = field.numpy() * 100 / WIDTH, image.numpy()[0]
    for axis in (-1, -2):
        edges = np.exp(-10 * np.abs(np.diff(i, axis=axis)).mean(0))
        expected += (np.abs(np.diff(f, axis=axis)) * edges).mean()
    found = float(edge_aware_flow_smoothness(field, image))
    assert found == pytest.approx(expected, abs=1e-12)


def test_consistency_and_cross_task_equal_the_reference(observed: SnippetBatch) -> None:
    forward, backward = sliding(1.0, -1.0) + random_field(0), sliding(-1.3, 1.2)
    predicted = Prediction(
        [wall()], sideways(-STEP, STEP), flow=FlowPrediction([forward], backward)
    )
    context = ReprojectionContext(observed, predicted, PLAIN)
    trips, differences = [], []
    for s, v, u in np.ndindex(2, HEIGHT, WIDTH):
        f, b = forward[0, s, :, v, u].numpy(), backward[0, s, :, v, u].numpy()  # b is constant
        x, y = u + f[0], v + f[1]
        if not (0 <= x <= WIDTH - 1 and 0 <= y <= HEIGHT - 1):
            continue
        left = np.linalg.norm(f + b)
        if left < max(3, 0.05 * np.linalg.norm(f)):
            trips.append(left * 100 / WIDTH)
        rigid = np.array([1.0 if s == 0 else -1.0, 0.0])
        seen = left**2 < 0.01 * ((f**2).sum() + (b**2).sum()) + 0.5
        if seen and 0 <= u + rigid[0] <= WIDTH - 1:
            differences.append(np.linalg.norm(f - rigid) * 100 / WIDTH)
    assert float(flow_consistency(context)) == pytest.approx(np.mean(trips), abs=1e-9)
    assert float(cross_task(context)) == pytest.approx(np.mean(differences), abs=1e-9)


def test_static_flow_that_does_not_return_is_left_out(observed: SnippetBatch) -> None:
    predicted = Prediction([wall()], sideways(-STEP, STEP), flow=true_flow())
    off = replace(predicted, flow=FlowPrediction([sliding(1.5, -1.5)], sliding(-1.5, 1.5)))
    returns = replace(off, rigid_reverse=sliding(-1.0, 1.0))
    lost = replace(off, rigid_reverse=sliding(3.0, -3.0))
    on = {"cross_task_weight": 1.0}
    assert value("cross_task", observed, returns, **on) == pytest.approx(0.5 * 100 / WIDTH)
    assert value("cross_task", observed, lost, **on) == 0
    assert value("cross_task", observed, predicted, **on) < 1e-9


def test_gradients_of_the_terms(observed: SnippetBatch) -> None:
    weights = {"flow_weight": 1.0, "flow_smoothness_weight": 0.2, "flow_consistency_weight": 0.3,
               "cross_task_weight": 0.4, "moderation_weight": 0.1}  # fmt: skip

    def total(patch: Tensor, depth: Tensor, static: Tensor) -> Tensor:
        field = sliding(1.2, -0.8) + 0.01
        field[..., 5:7, 9:11] += patch
        mask = static.expand(1, 2, 1, HEIGHT, WIDTH)
        flow = FlowPrediction([field], sliding(-1.1, 0.9), mask)
        predicted = Prediction([wall() * depth], sideways(-0.43, 0.41), flow=flow)
        return terms(observed, predicted, **weights).total

    start = 0.3 * random_field(4)[..., :2, :2]
    inputs = (start.clone(), torch.tensor(1.03, dtype=F64), torch.tensor(0.7, dtype=F64))
    assert torch.autograd.gradcheck(total, tuple(x.requires_grad_() for x in inputs))


def test_the_mask_shares_pixels_out(observed: SnippetBatch, predicted: Prediction) -> None:
    half = torch.full((1, 2, 1, HEIGHT, WIDTH), 0.25, dtype=F64)
    wrong = replace(predicted, depths=[wall(4.0)], flow=FlowPrediction([sliding(0, 0)],
                                                                     sliding(0, 0)))  # fmt: skip
    shared = replace(wrong, flow=replace(wrong.flow, static=half))
    for name, share in (("photometric", 0.25), ("flow", 0.75)):
        whole, part = (value(name, observed, x, flow_weight=1.0) for x in (wrong, shared))
        assert part == pytest.approx(share * whole)


def test_consensus_is_true_of_a_thing_that_moves(
    observed: SnippetBatch, predicted: Prediction
) -> None:
    seen = with_moving_thing(observed)
    free = sliding(1.0, -1.0) + own_motion()[:, :, :2] * 2.0  # 10 / 5 pixels a metre
    flow = FlowPrediction([free], -free)
    context = ReprojectionContext(seen, replace(predicted, flow=flow), PLAIN)
    is_static, known = consensus_of(context)
    moving = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    moving[THING] = True
    inner = known[0, 0] & ~_rim(moving)
    assert (is_static[0, 0][inner] == ~moving[inner]).all()


def _rim(mask: Tensor) -> Tensor:
    """Pixels whose neighbours differ from them."""
    grown = torch.nn.functional.max_pool2d(mask[None, None].double(), 3, 1, 1)[0, 0] > 0
    shrunk = torch.nn.functional.max_pool2d((~mask)[None, None].double(), 3, 1, 1)[0, 0] > 0
    return grown & shrunk


def test_cross_entropies_by_hand(observed: SnippetBatch, predicted: Prediction) -> None:
    p = torch.tensor([[[[0.9, 0.2, 0.5]]]], dtype=F64)
    truth, known = torch.tensor([[[[True, False, True]]]]), torch.tensor([[[[1, 1, 0]]]]) > 0
    expected = -(np.log(0.9) + np.log(0.8)) / 2
    assert float(binary_cross_entropy(p, truth, known)) == pytest.approx(expected)
    static = torch.full((1, 2, 1, HEIGHT, WIDTH), 0.8, dtype=F64)
    masked = replace(predicted, flow=true_flow(static))
    found = value("moderation", observed, masked, moderation_weight=1.0)
    assert found == pytest.approx(-np.log(0.8))
