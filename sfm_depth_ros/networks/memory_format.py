# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How weights lie in memory."""

from __future__ import annotations

from itertools import chain

import torch
from torch import nn


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
