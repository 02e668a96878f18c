# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metric depth and motion of images: the networks' outputs under the focal rule."""

from __future__ import annotations

import torch
from torch import Tensor

from sfm_depth_ros.networks.focal import canonical_to_depth
from sfm_depth_ros.networks.model import DepthNet, PoseNet
from sfm_depth_ros.networks.source_motions import predict_source_motions


def predict_depths(depth_net: DepthNet, image: Tensor, K: Tensor) -> list[Tensor]:
    """Metric depths at all scales.

    Args:
        depth_net: Depth network.
        image: ``(B, 3, H, W)`` RGB in [0, 1].
        K: ``(B, 3, 3)`` intrinsics in pixels of ``image``.

    Returns:
        Depths in metres, finest ``(B, 1, H, W)`` first.
    """
    focal = K[:, 0, 0].view(-1, 1, 1, 1)
    reference = depth_net.config.reference_focal
    return [canonical_to_depth(depth.float(), focal, reference) for depth in depth_net(image)]


def predict_motions(
    pose_net: PoseNet, earlier: Tensor, target: Tensor, later: Tensor, K: Tensor
) -> Tensor:
    """Motion from the target to both neighbours, without the network's other outputs.

    Args:
        pose_net: Pose network.
        earlier: ``(B, 3, H, W)`` image before the target.
        target: ``(B, 3, H, W)``.
        later: ``(B, 3, H, W)`` image after it.
        K: ``(B, 3, 3)`` intrinsics in pixels.

    Returns:
        ``(B, 2, 4, 4)`` of ``T_earlier_target`` and ``T_later_target``.
    """
    sources = torch.stack((earlier, later), dim=1)
    return predict_source_motions(pose_net, target, sources, K).T_source_target
