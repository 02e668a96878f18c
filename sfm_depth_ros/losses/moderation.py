# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The moderator's mask: which pixels the camera's motion explains, and which free flow does.

After Competitive Collaboration (Ranjan et al., CVPR 2019): depth and motion compete with flow for
pixels, the mask is the moderator, and both collaborate to train it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sfm_depth_ros.losses.context import ReprojectionContext
from sfm_depth_ros.losses.flow import flow_errors, rigid_flow_of
from sfm_depth_ros.losses.masked_mean import masked_mean
from sfm_depth_ros.losses.reprojection import source_errors

AGREEMENT = 1.0  # per cent of the width by which rigid and free flow of a static pixel differ
_SMALLEST = 1e-6


def moderation(context: ReprojectionContext) -> Tensor | None:
    """Cross entropy of the mask with one: pixels are static by default."""
    predicted = context.predicted.flow
    if predicted is None or predicted.static is None:
        return None
    return -predicted.static.clamp(min=_SMALLEST).log().mean()


def consensus(context: ReprojectionContext) -> Tensor | None:
    """Cross entropy of the mask with what depth and flow find together."""
    predicted = context.predicted.flow
    if predicted is None or predicted.static is None:
        return None
    is_static, known = consensus_of(context)
    return binary_cross_entropy(predicted.static[:, :, 0], is_static, known)


@torch.no_grad()
def consensus_of(context: ReprojectionContext) -> tuple[Tensor, Tensor]:
    """Pixels of the static scene, and those where that is decidable, ``(B, S, H, W)`` bool.

    Static is what depth and motion explain better than flow does, or what both flows agree on.
    """
    predicted = context.predicted.flow
    assert predicted is not None  # callers have looked
    rigid, inside = source_errors(context.warped(0), context)
    free, lands = flow_errors(context, 0)
    difference = rigid_flow_of(context) - predicted.forward[0]
    apart = difference.square().sum(2).sqrt() * (100.0 / difference.shape[-1])
    return (rigid < free) | (apart < AGREEMENT), inside & lands


def binary_cross_entropy(probability: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Mean of ``-log p`` where true and ``-log (1 - p)`` where not, over what is known.

    Args:
        probability: ``(B, S, H, W)`` in (0, 1).
        truth: Bool, likewise.
        known: Bool, likewise.
    """
    chosen = torch.where(truth, probability, 1 - probability)
    return masked_mean(-chosen.clamp(min=_SMALLEST).log(), known)
