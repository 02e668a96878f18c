# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Moving mask: what moves by itself, as flow, depth, motion and the moderator between them find.

After Competitive Collaboration (Ranjan et al., CVPR 2019).
"""

from __future__ import annotations

import torch
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.losses.inputs import Prediction
from sfm_depth_ros.networks.predictions import predict_depths, predict_source_motions
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.training.companion_predictions import completed
from sfm_depth_ros.training.network_pair import NetworkPair

OBJECTIVE = ObjectiveConfig(flow_weight=1.0, moderation_weight=1.0)


@torch.no_grad()
def moving_mask(networks: NetworkPair, observed: SnippetBatch) -> Tensor | None:
    """Probability that the camera's motion does not explain a pixel of the target.

    Args:
        networks: In eval mode.
        observed: Snippets on their device.

    Returns:
        ``(B, 1, H, W)`` in (0, 1), mean over sources; None where there is no moderator.
    """
    companions = networks.companions
    if companions.moderator is None or companions.flow is None:
        return None
    motions = predict_source_motions(networks.pose, observed.target, observed.sources, observed.K)
    depths = predict_depths(networks.depth, observed.target, observed.K)
    predicted = completed(
        Prediction(depths, motions.T_source_target), observed.contiguous(), networks.depth,
        companions, OBJECTIVE,
    )  # fmt: skip
    assert predicted.flow is not None and predicted.flow.static is not None  # asked for
    return 1 - predicted.flow.static.mean(1)
