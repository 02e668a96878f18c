# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rewrites for speed that leave the numbers as they are."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TypeGuard

import torch
from torch import Tensor, fx, nn

from sfm_depth_ros.errors import ModelError


@dataclass(frozen=True)
class FoldedNorm:
    """A batch norm that follows a convolution: its name and its epsilon."""

    name: str
    epsilon: float


def find_batch_norms(network: nn.Module) -> dict[str, FoldedNorm]:
    """Pairs of convolution and batch norm, by the convolution's name, found in the data flow.

    A pair is a ``Conv2d`` whose only reader is a ``BatchNorm2d`` with weights and running
    statistics.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return {}
    pairs: dict[str, FoldedNorm] = {}
    for node in fx.Tracer().trace(network).nodes:
        if node.op != "call_module":
            continue
        norm, before = network.get_submodule(str(node.target)), node.all_input_nodes[0]
        if not _is_foldable(norm) or before.op != "call_module":
            continue
        convolution = network.get_submodule(str(before.target))
        if isinstance(convolution, nn.Conv2d) and len(before.users) == 1:
            pairs[str(before.target)] = FoldedNorm(str(node.target), norm.eps)
    return pairs


def _is_foldable(module: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    return isinstance(module, nn.BatchNorm2d) and module.affine and module.track_running_stats


def fold_state(state: Mapping[str, Tensor], pairs: Mapping[str, FoldedNorm]) -> dict[str, Tensor]:
    """Fold the batch norms of a state dict.

    Args:
        state: Tensors by parameter name.
        pairs: Batch norm of each convolution, see :func:`find_batch_norms`.

    Returns:
        State of the folded network: no batch norms, and a bias at every folded convolution.

    Raises:
        ModelError: The state lacks a tensor of a pair.
    """
    folded = dict(state)
    for convolution, norm in pairs.items():
        try:
            weight = folded[f"{convolution}.weight"].double()
            bias = folded.get(f"{convolution}.bias", weight.new_zeros(len(weight))).double()
            gamma, beta, mean, variance = (
                folded.pop(f"{norm.name}.{part}").double()
                for part in ("weight", "bias", "running_mean", "running_var")
            )
        except KeyError as error:
            raise ModelError(
                f"the weights lack {error}: they belong to another network; export it again"
            ) from error
        folded.pop(f"{norm.name}.num_batches_tracked", None)
        gain = gamma / torch.sqrt(variance + norm.epsilon)
        folded[f"{convolution}.weight"] = (weight * gain[:, None, None, None]).float()
        folded[f"{convolution}.bias"] = ((bias - mean) * gain + beta).float()
    return folded


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Copy of a network, in eval mode, without its batch norms: the same output.

    Args:
        network: Any module; it stays as it is.
    """
    pairs = find_batch_norms(network)
    folded = copy.deepcopy(network).eval()
    for name, norm in pairs.items():
        bias = torch.zeros_like(network.get_parameter(f"{norm.name}.bias"))
        folded.get_submodule(name).register_parameter("bias", nn.Parameter(bias))
        parent, _, child = norm.name.rpartition(".")
        setattr(folded.get_submodule(parent), child, nn.Identity())
    folded.load_state_dict(fold_state(network.state_dict(), pairs))
    return folded


def channels_last(network: nn.Module) -> nn.Module:
    """Lay the weights of 2D convolutions channels last, in place: faster with most backends.

    A network with 3D convolutions stays as it is: it would be copied from one layout to the other
    and back all the time (PackNet on a CPU: a third slower).

    Returns:
        The same network.
    """
    tensors = list(chain(network.parameters(), network.buffers()))
    if any(tensor.dim() == 5 for tensor in tensors):
        return network
    for tensor in tensors:
        if tensor.dim() == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return network
