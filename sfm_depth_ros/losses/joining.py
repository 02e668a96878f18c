# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the errors of several sources become one per pixel.

The minimum over sources and the auto-mask are those of Monodepth2 (Godard et al., ICCV 2019),
whose authors (Niantic) state that a patent on them is pending: see to it before commercial use,
or choose ``reduction="mean"`` and ``auto_mask=False``.
"""

from __future__ import annotations

import torch
from torch import Tensor

# A source must beat the unwarped one by more than this to teach a pixel. Monodepth2 breaks ties
# by random noise of this size; a constant makes results repeatable and lets flat areas rest.
TIE_BREAK = 1e-5


def reduce_sources(
    errors: Tensor,
    valid: Tensor,
    identity_errors: Tensor | None,
    reduction: str,
    weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Join the errors of several sources into one per pixel.

    A source is a candidate where its warp is valid; the unwarped sources are always candidates,
    so that what moves with the camera, or does not move at all, teaches nothing. A pixel without
    any candidate is not used.

    Args:
        errors: ``(B, S, H, W)`` photometric errors of the warped sources.
        valid: ``(B, S, H, W)`` bool, whether the warp stayed inside the source.
        identity_errors: ``(B, S, H, W)`` errors of the unwarped sources (auto-mask), or None.
        reduction: ``"minimum"`` or ``"mean"`` over the valid sources.
        weights: ``(B, S, H, W)`` in [0, 1], how much each source is believed, or None. They
            scale what a source says and have no say in which one is chosen: a source must not
            win by being doubted.

    Returns:
        Error per pixel ``(B, 1, H, W)``, zero where unused, and the used mask, bool, likewise.
    """
    if errors.shape != valid.shape or errors.ndim != 4:
        raise ValueError(
            f"expected errors and valid (B, S, H, W), got {tuple(errors.shape)} and "
            f"{tuple(valid.shape)}"
        )
    if reduction not in ("minimum", "mean"):
        raise ValueError(f"expected reduction minimum or mean, got {reduction!r}")
    used = valid.any(1, keepdim=True)
    join = _least if reduction == "minimum" else _mean
    joined, weighted = join(errors, valid, weights)
    if identity_errors is None:
        return weighted.masked_fill(~used, 0), used
    joined = joined.masked_fill(~used, torch.inf)
    unwarped = (
        identity_errors.amin(1, keepdim=True)
        if reduction == "minimum"
        else (identity_errors.mean(1, keepdim=True))
    )
    rest = joined + TIE_BREAK >= unwarped
    return torch.where(rest, unwarped, weighted), torch.ones_like(used)


def _least(errors: Tensor, valid: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """The smallest error, plain and weighted."""
    candidates = errors.masked_fill(~valid, torch.inf)
    if weights is None:
        least = candidates.amin(1, keepdim=True)
        return least, least
    least, best = candidates.min(1, keepdim=True)
    return least, least.masked_fill(~valid.any(1, keepdim=True), 0) * weights.gather(1, best)


def _mean(errors: Tensor, valid: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """The mean error of the valid sources, plain and weighted."""
    count = valid.sum(1, keepdim=True).clamp(min=1)
    errors = errors.masked_fill(~valid, 0)
    mean = errors.sum(1, keepdim=True) / count
    return mean, mean if weights is None else (errors * weights).sum(1, keepdim=True) / count
