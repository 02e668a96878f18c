# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rehearsal by an earlier network's own depth instead of the truth.

Its truth would be new to a network that is meant to stay as it was: a handful of places would be
learnt by heart. What it predicted costs nothing to keep, and pulls only where it has moved (Li and
Hoiem, "Learning without Forgetting", ECCV 2016).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch

from sfm_depth_ros.networks.model import DepthNet
from sfm_depth_ros.networks.predictions import predict_depths
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.training.device import autocast_dtype


@dataclass(frozen=True, eq=False)
class FirstModel:
    """The depth network that training began with, and how large it sees the rendered world."""

    depth_net: DepthNet  # In eval mode
    size: float = 1.0  # Times that its depths of rendered snippets are larger than the truth

    def recalled_from(self, row: int, batch: SnippetBatch, mixed_precision: bool) -> SnippetBatch:
        """The batch with its depth, in the size of the truth, from one snippet on.

        Args:
            row: First of the rendered snippets.
            batch: Rendered snippets, with true depth, are its last ones.
            mixed_precision: Whether the network computes in half precision.
        """
        if batch.depth is None or row >= len(batch):
            return batch
        seen = recalled(batch.select(slice(row, None)), self.depth_net, mixed_precision).depth
        assert seen is not None  # recalled made it
        return dataclasses.replace(batch, depth=torch.cat([batch.depth[:row], seen / self.size]))


@torch.no_grad()
def recalled(batch: SnippetBatch, depth_net: DepthNet, mixed_precision: bool) -> SnippetBatch:
    """The batch with a network's depth in place of the true one; motion stays the true one.

    Args:
        batch: Snippets with true depth.
        depth_net: The earlier network, in eval mode.
        mixed_precision: Whether it computes in half precision.
    """
    device = batch.target.device
    with torch.autocast(device.type, autocast_dtype(device), enabled=mixed_precision):
        depth = predict_depths(depth_net, batch.target, batch.K)[0]
    return dataclasses.replace(batch, depth=depth.float())
