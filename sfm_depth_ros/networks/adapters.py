# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Low-rank adapters: a few parameters that learn in place of a large network's own.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022: a weight ``W`` becomes
``W + U V`` with ``W`` frozen. Convolutions are adapted as the matrix of their filters. The sum has
the shape of the weight, so that a merged network is the plain one again.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

RANK = 8
_ADAPTED = (nn.Linear, nn.Conv2d)
_WEIGHT, _ORIGINAL = "weight", ".parametrizations.weight.original"
NetworkT = TypeVar("NetworkT", bound=nn.Module)


class LowRank(nn.Module):
    """Adds ``up @ down`` to a weight; nothing at first, for ``up`` begins as zeros.

    Args:
        weight: The weight, ``(outputs, ...)``.
        rank: Rank of what is added.
        generator: Of the random rows of ``down``.
    """

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        outputs, inputs = weight.shape[0], weight[0].numel()
        rows = torch.randn(rank, inputs, generator=generator) / math.sqrt(inputs)
        self.up = nn.Parameter(weight.new_zeros(outputs, rank))
        self.down = nn.Parameter(rows.to(weight))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight with its addition, of the weight's shape."""
        return weight + (self.up @ self.down).view(weight.shape)

    @torch.no_grad()
    def clear(self) -> None:
        """Add nothing again."""
        self.up.zero_()


def add_adapters(network: nn.Module, rank: int = RANK) -> None:
    """Adapt every linear layer and convolution whose adapter is smaller than its weight.

    Everything that the network had is frozen, but for parameters without dimensions (metric
    scales and shifts). The same network gets the same adapters each time: an interrupted run
    needs that.
    """
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.requires_grad_(parameter.ndim == 0)
    for module in list(network.modules()):
        if isinstance(module, _ADAPTED) and _is_smaller(module.weight, rank):
            addition = LowRank(module.weight.detach(), rank, generator)
            parametrize.register_parametrization(module, _WEIGHT, addition)


def plain_state(network: nn.Module) -> dict[str, Tensor]:
    """State under the names of the network without adapters, what they add included."""
    state = network.state_dict()
    adapted: dict[str, Any] = dict(_adapted(network))
    if not adapted:
        return state
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        owner = name.partition(".parametrizations.")[0]
        if owner not in adapted:
            found[name] = value
        elif name.endswith(_ORIGINAL):
            found[f"{owner}.{_WEIGHT}"] = adapted[owner].weight.detach()
    return found


def load_plain(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give a network the weights of a plain one; its adapters, if any, add nothing again."""
    adapted: dict[str, Any] = dict(_adapted(network))
    if not adapted:
        network.load_state_dict(state)
        return
    own = network.state_dict()
    for module in adapted.values():
        for addition in module.parametrizations[_WEIGHT]:
            addition.clear()
    renamed = {
        (f"{owner}{_ORIGINAL}" if leaf == _WEIGHT and owner in adapted else name): value
        for name, value in state.items()
        for owner, _, leaf in [name.rpartition(".")]
    }
    additions = {name: own[name] for name in own if name not in renamed}
    network.load_state_dict({**renamed, **additions})


def merged(network: NetworkT) -> NetworkT:
    """A copy without adapters: what they add is in its weights."""
    plain = copy.deepcopy(network)
    for _, module in list(_adapted(plain)):
        # Not remove_parametrizations: it changes the class, which copy and network share
        weight = module.weight.detach()
        module.__class__ = type(module).__mro__[1]
        del module.parametrizations
        module.register_parameter(_WEIGHT, nn.Parameter(weight))
    return plain


def _is_smaller(weight: Tensor, rank: int) -> bool:
    outputs, inputs = weight.shape[0], weight[0].numel()
    return rank * (outputs + inputs) < weight.numel()


def _adapted(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """Adapted layers by name."""
    for name, module in network.named_modules():
        if parametrize.is_parametrized(module, _WEIGHT):
            yield name, module
