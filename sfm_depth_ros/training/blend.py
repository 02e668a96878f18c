# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mixture of the deployed weights and the learnt ones, as far as nothing is forgotten.

On the straight line from the weights that fine-tuning began with to those that it ended with, the
gain on the new data comes early and most of the loss elsewhere late (WiSE-FT: Wortsman et al.,
"Robust fine-tuning of zero-shot models", CVPR 2022).
"""

from __future__ import annotations

import copy

import torch

from sfm_depth_ros.training.network_pair import NetworkPair


@torch.no_grad()
def blended(deployed: NetworkPair, learnt: NetworkPair, share: float) -> NetworkPair:
    """Weights on the line from the deployed to the learnt ones, in eval mode.

    Args:
        deployed: Without adapters.
        learnt: Of the same architecture, without adapters.
        share: Place on the line, 0 = deployed, 1 = learnt; metric scales, which are logarithms,
            follow it too.
    """
    mixture, first = copy.deepcopy(learnt), deployed.state_dict()
    if share < 1:
        for name, value in mixture.state_dict().items():
            if value.is_floating_point():  # counters stay
                value.copy_(torch.lerp(first[name].to(value), value, share))
    return mixture.eval()
