# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two cameras side by side, rectified: d = b f / Z, and sampling along rows.

Disparity d is the column in the left image minus that in the right one, in pixels; the baseline b
is the distance of the cameras in metres, f the focal length in pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor


def disparity_from_depth(depth: Tensor, focal: Tensor | float, baseline: Tensor | float) -> Tensor:
    """Disparities in pixels of depths.

    Args:
        depth: ``(B, ..., H, W)`` metres; zero, negative and NaN are unknown, infinity is far.
        focal: Pixels, one or ``(B,)``.
        baseline: Metres, one or ``(B,)``.

    Returns:
        Pixels, of the depths' shape; NaN where the depth is unknown, without gradient there.
    """
    known = depth > 0
    product = _per_image(focal, depth) * _per_image(baseline, depth)
    quotient = product / depth.masked_fill(~known, 1)
    return quotient.masked_fill(~known, torch.nan)


def sample_along_rows(image: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Linear interpolation between the pixels of each row; cheaper than a bilinear grid.

    Args:
        image: ``(B, C, H, W)``.
        columns: ``(B, 1, H, W')`` where to sample in pixels.

    Returns:
        ``(B, C, H, W')``, the border repeated outside, and ``(B, 1, H, W')`` bool, whether the
        column lies inside the image.
    """
    if image.ndim != 4 or columns.shape[:3] != (image.shape[0], 1, image.shape[2]):
        raise ValueError(
            "expected an image (B, C, H, W) and columns (B, 1, H, W'), got "
            f"{tuple(image.shape)} and {tuple(columns.shape)}"
        )
    last = image.shape[-1] - 1
    inside = (columns >= 0) & (columns <= last)
    within = torch.where(inside, columns, columns.detach().nan_to_num(0).clamp(0, last))
    left = within.detach().floor().clamp_(max=max(last - 1, 0))
    share = within - left
    index = left.long().expand(-1, image.shape[1], -1, -1)
    before, after = image.gather(3, index), image.gather(3, (index + 1).clamp_(max=last))
    return torch.lerp(before, after, share.expand_as(before)), inside


def _per_image(value: Tensor | float, like: Tensor) -> Tensor | float:
    if not isinstance(value, Tensor) or value.ndim == 0:
        return value
    if value.shape != like.shape[:1]:
        raise ValueError(
            f"expected focal and baseline ({like.shape[0]},), one for each image, "
            f"got {tuple(value.shape)}"
        )
    return value.view(-1, *[1] * (like.ndim - 1))
