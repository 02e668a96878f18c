# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameter groups, schedules, and the refusal of what is not finite."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sfm_depth_ros.training.optimiser import (
    Rates,
    cosine,
    create_optimiser,
    set_rate,
    take_step,
    warmed_up,
)


def test_scales_learn_faster_and_only_weights_decay(tiny_networks) -> None:
    networks = tiny_networks()
    optimiser = create_optimiser(networks, Rates(1e-3, scale_factor=20, weight_decay=0.01))
    weights, offsets, scales = optimiser.param_groups
    assert [p.ndim for p in scales["params"]] == [0, 0]
    assert (weights["lr"], scales["lr"]) == (1e-3, pytest.approx(2e-2))
    assert (weights["weight_decay"], offsets["weight_decay"]) == (0.01, 0.0)
    count = sum(len(group["params"]) for group in optimiser.param_groups)
    assert count == len(list(networks.parameters()))
    set_rate(optimiser, 1e-4)
    assert scales["lr"] == pytest.approx(2e-3)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_changes_nothing(bad) -> None:
    layer = nn.Linear(2, 1)
    optimiser = create_optimiser(layer, Rates(0.1))
    before = layer.weight.detach().clone()
    assert not take_step(optimiser, layer(torch.ones(1, 2)).sum() * bad, 1.0)
    assert torch.equal(layer.weight, before)
    assert optimiser.state_dict()["state"] == {}


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    layer = nn.Linear(2, 1)
    optimiser = create_optimiser(layer, Rates(0.1))
    before = layer.weight.detach().clone()
    loss = (layer(torch.zeros(1, 2)) * 0).sum().sqrt()  # 0, with an infinite derivative
    assert not take_step(optimiser, loss, 1.0)
    assert torch.equal(layer.weight, before)
    assert take_step(optimiser, layer(torch.ones(1, 2)).sum(), 1.0)
    assert not torch.equal(layer.weight, before)


def test_schedules() -> None:
    assert warmed_up(0, 10) == pytest.approx(0.1)
    assert warmed_up(9, 10) == warmed_up(50, 10) == warmed_up(0, 0) == 1.0
    assert cosine(0.0, 0.1) == 1.0
    assert cosine(0.5, 0.1) == pytest.approx(0.55)
    assert cosine(1.0, 0.1) == cosine(2.0, 0.1) == pytest.approx(0.1)


def test_a_scaled_gradient_moves_as_an_unscaled_one_and_infinity_shrinks_the_scale() -> None:
    def moved(scaler: torch.amp.GradScaler | None, factor: float = 1.0) -> torch.Tensor:
        layer = nn.Linear(2, 1, bias=False)
        nn.init.ones_(layer.weight)
        optimiser = create_optimiser(layer, Rates(0.1))
        loss = layer(torch.tensor([[1.0, 2.0]])).sum() * factor
        taken = take_step(optimiser, loss, 1.0, scaler=scaler)
        assert taken == (factor == 1.0)
        return layer.weight.detach()

    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    assert torch.allclose(moved(scaler), moved(None))
    assert scaler.get_scale() == 1024.0
    assert moved(scaler, 1e36).tolist() == [[1.0, 1.0]]  # overflows once it is scaled
    assert scaler.get_scale() == 512.0
