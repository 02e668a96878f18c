# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flip fusion: depth of an image and of its mirror image, joined differentiably.

The differentiable flip-augmentation layer of SuperDepth (Pillai, Ambrus and Gaidon, ICRA 2019):
what Godard et al., CVPR 2017, do after training becomes part of it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sfm_depth_ros.networks.model import DepthNet
from sfm_depth_ros.networks.predictions import predict_depths

BORDER = 0.05  # share of the width at each side that is taken from one prediction alone
RAMP = 20.0  # the blend goes over to the mean within another 1 / RAMP of the width


def predict_fused_depths(depth_net: DepthNet, image: Tensor, K: Tensor) -> list[Tensor]:
    """Metric depths at all scales, each fused with the mirror image's.

    Args:
        depth_net: Depth network.
        image: ``(B, 3, H, W)`` RGB in [0, 1].
        K: ``(B, 3, 3)`` intrinsics in pixels of ``image``; mirroring keeps the focal length.

    Returns:
        Depths in metres, finest ``(B, 1, H, W)`` first.
    """
    both = predict_depths(depth_net, torch.cat((image, image.flip(-1))), torch.cat((K, K)))
    return [fuse_flipped(*depth.chunk(2)) for depth in both]


def fuse_flipped(depth: Tensor, of_mirror: Tensor) -> Tensor:
    """Mean inverse depth; at each border of one prediction alone.

    At the left border the mirror image's prediction counts: it saw that border on its own right.

    Args:
        depth: ``(B, 1, H, W)`` metres of an image.
        of_mirror: The same of the mirror image, as the network returned it.

    Returns:
        ``(B, 1, H, W)`` metres.
    """
    if depth.shape != of_mirror.shape:
        raise ValueError(
            f"expected two depths of one shape, got {tuple(depth.shape)} and "
            f"{tuple(of_mirror.shape)}"
        )
    across = torch.linspace(0, 1, depth.shape[-1], dtype=depth.dtype, device=depth.device)
    left = 1 - (RAMP * (across - BORDER)).clamp(0, 1)
    share = 0.5 * (1 - left + left.flip(0))  # of the upright prediction
    return 1 / (share / depth + (1 - share) / of_mirror.flip(-1))
