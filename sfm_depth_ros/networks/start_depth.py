# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a fresh depth network begins: in the middle of what robots look at, in log depth.

Published networks begin in the middle of their sigmoid, a few decimetres from the camera, and
leave the unit to chance. Where the velocity teaches metres, the camera soon moves by more than
that, and nothing of the other images is left in view to learn from.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from sfm_depth_ros.config.schema import DepthNetworkConfig
from sfm_depth_ros.errors import ConfigError

START_DEPTH = 5.0  # metres at the reference focal length


@torch.no_grad()
def start_at_depth(network: nn.Module, config: DepthNetworkConfig, depth: float) -> None:
    """Set the offsets of a fresh network's heads so that it says about ``depth`` everywhere.

    Args:
        network: Depth network whose heads lie in a list named ``heads``.
        config: Its shape.
        depth: Metres at the reference focal length, kept inside of what the network can say.
    """
    depth = min(max(depth, 1.1 * config.min_depth), 0.9 * config.max_depth)
    near, far = 1.0 / config.min_depth, 1.0 / config.max_depth
    disparity = (1.0 / depth - far) / (near - far)
    logit = math.log(disparity / (1.0 - disparity))
    offsets = [
        part.bias for name, module in network.named_modules() if name.rpartition(".")[2] == "heads"
        for part in module.modules() if isinstance(part, nn.Conv2d) and part.bias is not None
    ]  # fmt: skip
    if not offsets:
        raise ConfigError(f"expected a depth network with heads, got {config.name}")
    for offset in offsets:
        nn.init.constant_(offset, logit)
