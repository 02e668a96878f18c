# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights between the deployed and the learnt ones."""

from __future__ import annotations

import math

import pytest
import torch

from sfm_depth_ros.training.blend import blended


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_every_weight_lies_on_the_line(tiny_networks, share) -> None:
    deployed, learnt = tiny_networks().eval(), tiny_networks()
    with torch.no_grad():
        for parameter in learnt.parameters():
            parameter.add_(0.5)
    before = {name: value.clone() for name, value in learnt.state_dict().items()}
    found = blended(deployed, learnt, share)
    assert not found.training
    for name, value in found.state_dict().items():
        expected = torch.lerp(deployed.state_dict()[name].float(), before[name].float(), share)
        torch.testing.assert_close(value.float(), expected)
        assert torch.equal(learnt.state_dict()[name], before[name])


def test_the_mixture_of_two_scales_is_their_geometric_mean(tiny_networks) -> None:
    deployed, learnt = tiny_networks(), tiny_networks()
    learnt.load_state_dict(deployed.state_dict())
    learnt.scale(4.0, 9.0)
    found = blended(deployed, learnt, 0.5)
    assert math.exp(found.depth.log_scale - deployed.depth.log_scale) == pytest.approx(2.0)
    assert math.exp(found.pose.log_scale - deployed.pose.log_scale) == pytest.approx(3.0)
