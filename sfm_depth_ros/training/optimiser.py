# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Optimiser: parameter groups, schedule, gradient clipping, and the moving average of weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import nn

from sfm_depth_ros.networks.adapters import merged, plain_state

SCALE_PARAMETER = "log_scale"
NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass(frozen=True)
class Rates:
    """Learning rates of the three groups of parameters."""

    base: float  # Rate of everything but the scales
    scale_factor: float = 20.0  # The networks' `log_scale` learn this many times faster
    weight_decay: float = 0.0  # Decoupled decay (AdamW) of convolution weights alone


def create_optimiser(networks: nn.Module, rates: Rates) -> torch.optim.AdamW:
    """AdamW with weights, offsets (norms, biases) and metric scales in groups of their own.

    Frozen parameters are left out. Each group remembers in ``rate_factor`` how its rate follows
    the base rate.
    """
    weights: list[nn.Parameter] = []
    offsets: list[nn.Parameter] = []
    scales: list[nn.Parameter] = []
    for name, parameter in networks.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.rpartition(".")[2] == SCALE_PARAMETER:
            scales.append(parameter)
        else:
            (weights if parameter.ndim > 1 else offsets).append(parameter)
    groups = [
        {"params": weights, "weight_decay": rates.weight_decay, "rate_factor": 1.0},
        {"params": offsets, "weight_decay": 0.0, "rate_factor": 1.0},
        {"params": scales, "weight_decay": 0.0, "rate_factor": rates.scale_factor},
    ]
    optimiser = torch.optim.AdamW([g for g in groups if g["params"]], lr=rates.base, fused=True)
    set_rate(optimiser, rates.base)
    return optimiser


def set_rate(optimiser: torch.optim.Optimizer, base: float) -> None:
    """Set the base learning rate; every group keeps its factor."""
    for group in optimiser.param_groups:
        group["lr"] = base * group["rate_factor"]


def warmed_up(step: int, warmup_steps: int) -> float:
    """Share of the learning rate at a step: linear from nothing to 1."""
    return min(1.0, (step + 1) / max(warmup_steps, 1))


def cosine(progress: float, final_share: float) -> float:
    """Share of the learning rate: half a cosine from 1 down to ``final_share``.

    Args:
        progress: Share of the run that is done, 0 to 1.
        final_share: What is left at the end.
    """
    return final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def take_step(
    optimiser: torch.optim.Optimizer,
    loss: torch.Tensor,
    clip: float,
    exchange: Callable[[bool], bool] = bool,
    scaler: torch.amp.GradScaler | None = None,
) -> bool:
    """Descend once along the clipped gradient, unless loss or gradient is NaN or infinite.

    Args:
        optimiser: Its gradients are replaced.
        loss: Scalar.
        clip: Largest norm of the gradient over all parameters.
        exchange: Called when the gradients are there, with whether the loss was finite; may join
            them with those of other processes; returns whether all losses were.
        scaler: Scales the gradient of networks that compute in float16.

    Returns:
        Whether the step was taken; a refused one leaves weights and optimiser as they were.
    """
    optimiser.zero_grad(set_to_none=True)
    is_finite = bool(torch.isfinite(loss.detach()))
    if is_finite:
        (loss if scaler is None else scaler.scale(loss)).backward()
    if not exchange(is_finite):
        return False
    if scaler is not None:
        scaler.unscale_(optimiser)
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    norm = nn.utils.clip_grad_norm_(parameters, clip)
    is_taken = bool(torch.isfinite(norm))
    if scaler is not None:
        scaler.step(optimiser)
        scaler.update()
    elif is_taken:
        optimiser.step()
    if not is_taken:
        optimiser.zero_grad(set_to_none=True)
    return is_taken


class WeightAverage(Generic[NetworkT]):
    """A copy of a network that follows it slowly.

    Early on it follows fast (decay ``(1 + n) / (10 + n)`` after n updates), so that the first
    weights do not linger. The copy has no adapters: what those of the network add is averaged as
    part of its weights.

    Args:
        network: Network that is followed.
        decay: Share that stays at each update, in the long run.
    """

    def __init__(self, network: NetworkT, decay: float) -> None:
        self.network: NetworkT = merged(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: NetworkT) -> None:
        """Move a little towards ``network``."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        current = plain_state(network)
        pairs = [
            (mean, current[name])
            for name, mean in self.network.state_dict().items()
            if mean.is_floating_point()  # counters stay out
        ]
        average, newest = map(list, zip(*pairs, strict=True))
        torch._foreach_lerp_(average, newest, 1 - decay)

    @torch.no_grad()
    def reset(self, network: NetworkT) -> None:
        """Take over ``network`` as it is."""
        self.network.load_state_dict(plain_state(network))
        self.updates = 0
