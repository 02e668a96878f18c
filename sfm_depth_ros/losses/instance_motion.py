# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Things that move by themselves move as wholes."""

from __future__ import annotations

import torch
from torch import Tensor


def motion_of_instances(field: Tensor, instances: Tensor) -> Tensor:
    """One motion for each thing: the mean of a field over its pixels; zero where all is static.

    struct2depth (Casser et al., AAAI 2019) predicts one rigid motion for every instance of a mask.
    Between two images of a drive a thing hardly turns, so a translation stands for it here.

    Args:
        field: ``(B, S, 3, H, W)`` metres.
        instances: ``(B, H, W)`` numbers of the things that are seen, 0 = static.

    Returns:
        ``(B, S, 3, H, W)``.
    """
    if instances.shape != (field.shape[0], *field.shape[-2:]):
        raise ValueError(
            f"expected instances {(field.shape[0], *field.shape[-2:])}, "
            f"got {tuple(instances.shape)}"
        )
    numbers = instances.long().flatten(1)[:, None]  # (B, 1, HW)
    flat = field.flatten(1, 2).flatten(2)  # (B, 3 S, HW)
    count = int(numbers.max()) + 1
    sizes = field.new_zeros(len(field), 1, count).scatter_add_(
        2, numbers, torch.ones_like(flat[:, :1])
    )
    sums = field.new_zeros(*flat.shape[:2], count).scatter_add(2, numbers.expand_as(flat), flat)
    means = sums / sizes.clamp(min=1)
    static = torch.arange(count, device=field.device) == 0
    return means.masked_fill(static, 0).gather(2, numbers.expand_as(flat)).view_as(field)
