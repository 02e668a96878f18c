# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Height of the camera above the floor as a witness of metric scale, beside the odometer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.networks.model import DepthNet
from sfm_depth_ros.networks.predictions import predict_depths
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.visual_odometry.ground_plane import ground_of_depth

FEWEST = 4  # images that must show a floor
LOWEST = 0.05  # metres: a camera lower than this has its base frame elsewhere than on the floor
_LARGEST_SPREAD = math.log(1.2)  # of the heights; a floor is at one height


@torch.no_grad()
def floor_factor(
    depth_net: DepthNet, batches: Sequence[SnippetBatch], T_base_camera: np.ndarray
) -> float:
    """Factor of depths that brings the floor to the base frame's ground, z = 0.

    Args:
        depth_net: Depth network in eval mode.
        batches: Snippets; their targets are looked at.
        T_base_camera: ``(4, 4)`` pose of the optical frame in a base frame on the floor, metres.

    Returns:
        The factor, or NaN where fewer than ``FEWEST`` images show a floor, or at many heights.
    """
    height = float(T_base_camera[2, 3])
    if height < LOWEST:
        return math.nan
    logs: list[float] = []
    for batch in batches:
        depths = predict_depths(depth_net, batch.target, batch.K)[0][:, 0].float().cpu().numpy()
        for depth, K in zip(depths, batch.K.cpu().double().numpy(), strict=True):
            rows, columns = depth.shape
            camera = Intrinsics(K[0, 0], K[1, 1], K[0, 2], K[1, 2], columns, rows)
            floor = ground_of_depth(depth, camera, T_base_camera)
            if floor is not None:
                logs.append(math.log(height / floor.height))
    if len(logs) < FEWEST:
        return math.nan
    middle = float(np.median(logs))
    is_one_floor = np.median(np.abs(np.array(logs) - middle)) < _LARGEST_SPREAD
    return math.exp(middle) if is_one_floor else math.nan
