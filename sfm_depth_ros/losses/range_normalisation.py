# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every scene in units of its own range, so that a room counts as much as a road.

After RealMonoDepth (Ocal and Mustafa, 2020): depths and translations are divided by the median of
the scene's depth. A warp does not change by it; errors in metres do.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SMALLEST = 1e-6  # metres: a scene without any depth is not divided by zero


@torch.no_grad()
def median_depth(depth: Tensor) -> Tensor:
    """Median of each image's known depths: its range, a unit that is not learnt through.

    Args:
        depth: ``(B, 1, H, W)`` metres; zero, negative and not finite values are unknown.

    Returns:
        ``(B, 1, 1, 1)`` metres; one where an image knows no depth.
    """
    if depth.ndim != 4 or depth.shape[1] != 1:
        raise ValueError(f"expected depth (B, 1, H, W), got {tuple(depth.shape)}")
    known = depth.isfinite() & (depth > 0)
    flat = depth.masked_fill(~known, torch.nan).flatten(1)
    return flat.nanmedian(1).values.nan_to_num(1).clamp(min=_SMALLEST).view(-1, 1, 1, 1)


def translation_normalised(T: Tensor, median: Tensor) -> Tensor:
    """Motions whose translations are divided by the scene's range.

    Args:
        T: ``(B, S, 4, 4)`` in metres.
        median: ``(B, 1, 1, 1)`` metres.

    Returns:
        ``(B, S, 4, 4)`` in ranges.
    """
    if T.ndim != 4 or T.shape[-2:] != (4, 4) or median.shape != (T.shape[0], 1, 1, 1):
        raise ValueError(
            "expected T (B, S, 4, 4) and median (B, 1, 1, 1), got "
            f"{tuple(T.shape)} and {tuple(median.shape)}"
        )
    is_translation = torch.zeros_like(T[0, 0])
    is_translation[:3, 3] = 1
    return T * (1 + is_translation * (1 / median - 1))
