# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two images of one scene must be given one geometry."""

from __future__ import annotations

from torch import Tensor

from sfm_depth_ros.geometry.warping import WarpResult


def depth_consistency(warped: WarpResult, sampled: Tensor) -> tuple[Tensor, Tensor]:
    """How unlike the depths are that target and sources give to the same points.

    |a - b| / (a + b) of the target's points seen from the source (``warped.depth``) and of the
    source's own depth where they fall: symmetric, and in [0, 1) whatever the scale (SC-SfMLearner,
    Bian et al., NeurIPS 2019). One minus it is their self-discovered mask: moving things and
    occlusions weigh less.

    Args:
        warped: The target's points in each source, from ``warp_sources``.
        sampled: ``(B, S, 1, H, W)`` metres, the sources' own depth at ``warped.grid``: a channel
            of ``warped.image`` where depths were warped beside colours, else by
            ``sample_sources``.

    Returns:
        Difference ``(B, S, H, W)``, zero where not valid, and where it is valid, bool, likewise:
        inside the source, both depths positive and finite.
    """
    projected = warped.depth
    if sampled.shape != projected.shape:
        raise ValueError(
            f"expected the sources' depths {tuple(projected.shape)}, got {tuple(sampled.shape)}"
        )
    valid = warped.valid & (sampled > 0) & sampled.isfinite() & projected.isfinite()
    a, b = projected.masked_fill(~valid, 1), sampled.masked_fill(~valid, 1)
    return ((a - b).abs() / (a + b))[:, :, 0], valid[:, :, 0]
