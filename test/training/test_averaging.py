# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The average follows, slowly, and leaves the network alone."""

from __future__ import annotations

import pytest
import torch

from sfm_depth_ros.training.optimiser import WeightAverage


def test_follows_quickly_at_first_and_slowly_later() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    average = WeightAverage(layer, decay=0.9)
    torch.nn.init.ones_(layer.weight)
    average.update(layer)
    assert average.network.weight.item() == pytest.approx(1 - 2 / 11)
    for _ in range(300):
        average.update(layer)
    torch.nn.init.zeros_(layer.weight)
    average.update(layer)
    assert average.network.weight.item() == pytest.approx(0.9, abs=1e-4)
    assert layer.weight.item() == 0.0


def test_reset_takes_everything_over(tiny_networks) -> None:
    one, other = tiny_networks(1), tiny_networks(2)
    average = WeightAverage(one, 0.9)
    average.update(other)
    average.reset(other)
    for name, tensor in other.state_dict().items():
        assert torch.equal(average.network.state_dict()[name], tensor), name
    assert not any(p.requires_grad for p in average.network.parameters())
