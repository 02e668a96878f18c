# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The state of a training run in one safetensors file: replaced whole, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from sfm_depth_ros.errors import TrainingError
from sfm_depth_ros.storage import write_whole

_VALUES = "values"


def write_state(path: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Write tensors and JSON values aside, flush, rename.

    Raises:
        TrainingError: The disk is full or not writable; what was there before stays.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        write_whole(
            path, save(contiguous, metadata={_VALUES: json.dumps(dict(values))}), sync=True
        )
    except OSError as error:
        raise TrainingError(
            f"cannot write the training state {path} ({error}); free some disk "
            "space or choose a writable folder"
        ) from error


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`write_state` wrote.

    Raises:
        TrainingError: The file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
            values = json.loads((file.metadata() or {})[_VALUES])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise TrainingError(
            f"the training state {path} cannot be read ({error}); remove it to start afresh"
        ) from error
    return tensors, values


def module_tensors(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """State of a network under ``prefix``."""
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}


def load_module(prefix: str, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put a network's state back.

    Raises:
        TrainingError: The state is of another network.
    """
    state, own = _under(prefix, tensors), module.state_dict()
    odd = sorted({*state} ^ {*own})
    odd += [name for name in own if name in state and state[name].shape != own[name].shape]
    if odd:
        raise TrainingError(
            f"the training state is of another network ({len(odd)} tensors do not "
            f"fit, for example {odd[0]}); remove it to start afresh"
        )
    module.load_state_dict(state)


def optimiser_tensors(prefix: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Moments and counters of an optimiser, named by the number of their parameter."""
    return {
        f"{prefix}.{number}.{name}": value
        for number, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
    }


def load_optimiser(
    prefix: str, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """Put an optimiser's moments back; rates and groups stay as they are now.

    Raises:
        TrainingError: The state does not fit the optimiser's parameters.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _under(prefix, tensors).items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    own = optimiser.state_dict()
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for index, moments in state.items():
        _fit(moments, parameters[index] if index < len(parameters) else None)
    optimiser.load_state_dict({"state": state, "param_groups": own["param_groups"]})


def _fit(moments: dict[str, Tensor], parameter: Tensor | None) -> None:
    """Give moments their parameter's memory layout, which the fused optimiser relies on."""
    for name, value in moments.items():
        if value.ndim == 0:
            continue
        if parameter is None or value.shape != parameter.shape:
            raise TrainingError(
                "the training state is of another network; remove it to start afresh"
            )
        moments[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = prefix + "."
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}
