# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights that anyone can make again: a formula of a tensor's published name and its shape.

The published classes, filled with these, answered the numbers that stand in the tests; our
networks, filled with the same through the maps of names, must answer them too.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch

CHUNK = 1 << 16  # numbers that stay in the processor's cache


def noise(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Numbers in [-1, 1) that look random and depend on the name and the place alone."""
    seed = np.uint32(zlib.crc32(name.encode()))
    unit = np.empty(math.prod(shape), np.float32)
    for start in range(0, len(unit), CHUNK):
        part = unit[start : start + CHUNK]
        x = np.arange(start, start + len(part), dtype=np.uint32)
        x *= np.uint32(2654435761)
        x += seed
        for _ in range(2):
            x ^= x >> np.uint32(16)
            x *= np.uint32(0x45D9F3B)
        x ^= x >> np.uint32(16)
        np.multiply(x >> np.uint32(8), np.float32(2.0**-23), out=part)  # 24 bits: exact
        part -= np.float32(1.0)
    return torch.from_numpy(unit.reshape(shape))


def published_tensor(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The tensor of a published network that has this name there.

    Convolutions keep or halve the variance of what passes; norms are near, but not at, what they
    begin with; variances are positive.
    """
    if name.endswith("num_batches_tracked"):
        return torch.tensor(7)
    values = noise(name, shape)
    if len(shape) > 1:
        return values.mul_(math.sqrt(3.0 / math.prod(shape[1:])))
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        return values.mul_(0.3).add_(1.0)
    return values.mul_(0.1)


def fixed_image(channels: int, height: int, width: int) -> torch.Tensor:
    """``(1, channels, height, width)`` in [0, 1)."""
    return noise("image", (1, channels, height, width)).mul_(0.5).add_(0.5)
