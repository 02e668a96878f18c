# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An exponential moving average of weights: steadier than the weights themselves."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class WeightAverage(Generic[NetworkT]):
    """A copy of a network that follows it slowly.

    Early on it follows fast (decay ``(1 + n) / (10 + n)`` after n updates), so that the first
    weights do not linger.

    Args:
        network: Network that is followed.
        decay: Share that stays at each update, in the long run.
    """

    def __init__(self, network: NetworkT, decay: float) -> None:
        self.network: NetworkT = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: NetworkT) -> None:
        """Move a little towards ``network``."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        average, current = _floats(self.network), _floats(network)
        torch._foreach_lerp_(average, current, 1 - decay)

    @torch.no_grad()
    def reset(self, network: NetworkT) -> None:
        """Take over ``network`` as it is."""
        self.network.load_state_dict(network.state_dict())
        self.updates = 0


def _floats(network: nn.Module) -> list[Tensor]:
    """Parameters and running statistics; counters stay out."""
    return [t for t in network.state_dict().values() if t.is_floating_point()]
