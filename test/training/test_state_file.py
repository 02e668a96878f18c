# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training state: whole or not at all, and never a pickle."""

from __future__ import annotations

import pytest
import torch

from sfm_depth_ros.errors import TrainingError
from sfm_depth_ros.training.optimiser import Rates, create_optimiser, take_step
from sfm_depth_ros.training.state_file import (
    load_module,
    load_optimiser,
    module_tensors,
    optimiser_tensors,
    read_state,
    write_state,
)


def some_steps(layer: torch.nn.Module, optimiser: torch.optim.Optimizer, count: int) -> None:
    for _ in range(count):
        take_step(optimiser, layer(torch.ones(1, 2)).square().sum(), 1.0)


def test_a_resumed_optimiser_goes_on_exactly(tmp_path) -> None:
    layer = torch.nn.Linear(2, 2)
    optimiser = create_optimiser(layer, Rates(0.1))
    some_steps(layer, optimiser, 3)
    tensors = {**module_tensors("net", layer), **optimiser_tensors("optimiser", optimiser)}
    write_state(tmp_path / "deep" / "state", tensors, {"step": 3})
    some_steps(layer, optimiser, 4)

    other = torch.nn.Linear(2, 2)
    resumed = create_optimiser(other, Rates(0.1))
    tensors, values = read_state(tmp_path / "deep" / "state")
    assert values == {"step": 3}
    load_module("net", other, tensors)
    load_optimiser("optimiser", resumed, tensors)
    some_steps(other, resumed, 4)
    assert torch.equal(layer.weight, other.weight)


def test_state_of_another_network_is_refused(tmp_path) -> None:
    layer, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 3)
    optimiser = create_optimiser(layer, Rates(0.1))
    some_steps(layer, optimiser, 1)
    tensors = {**module_tensors("net", layer), **optimiser_tensors("optimiser", optimiser)}
    with pytest.raises(TrainingError, match="another network"):
        load_module("net", other, tensors)
    with pytest.raises(TrainingError, match="another network"):
        load_optimiser("optimiser", create_optimiser(other, Rates(0.1)), tensors)


def test_damage_is_an_error_with_a_remedy(tmp_path) -> None:
    path = tmp_path / "state"
    write_state(path, {"a": torch.ones(100)}, {})
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(TrainingError, match="start afresh"):
        read_state(path)
    with pytest.raises(TrainingError, match="cannot be read"):
        read_state(tmp_path / "absent")


def test_failed_write_keeps_the_old_state(tmp_path, monkeypatch) -> None:
    path = tmp_path / "state"
    write_state(path, {"a": torch.ones(2)}, {"step": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sfm_depth_ros.storage.os.fsync", full)
    with pytest.raises(TrainingError, match="free some disk space"):
        write_state(path, {"a": torch.zeros(2)}, {"step": 2})
    assert read_state(path)[1] == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["state"]
