# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dense features: standardised, frozen, and without a trace in the encoder they come from."""

from __future__ import annotations

import pytest
import torch

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.networks.dense_features import FrozenFeatures, encoder_features, joined
from sfm_depth_ros.networks.model import create_depth_network


def test_channels_are_standardised_and_light_cancels() -> None:
    generator = torch.Generator().manual_seed(0)
    fine = torch.rand(2, 3, 8, 12, generator=generator, dtype=torch.float64)
    coarse = torch.rand(2, 4, 4, 6, generator=generator, dtype=torch.float64)
    features = joined([fine, coarse])
    assert features.shape == (2, 7, 8, 12)
    torch.testing.assert_close(features.mean((2, 3)), torch.zeros(2, 7, dtype=torch.float64))
    torch.testing.assert_close(
        features.square().mean((2, 3)), torch.ones(2, 7, dtype=torch.float64)
    )
    torch.testing.assert_close(joined([0.3 * fine + 2, coarse]), features)
    assert not joined([torch.zeros(1, 2, 4, 4)]).any()


def test_frozen_features_never_learn() -> None:
    torch.manual_seed(0)
    network = FrozenFeatures("").train()
    assert not network.training and not any(m.training for m in network.modules())
    assert not any(p.requires_grad for p in network.parameters())
    assert network(torch.rand(2, 3, 64, 96)).shape == (2, 16 + 24, 32, 48)


@pytest.mark.parametrize("name", ["small", "resnet18", "lite_mono_tiny"])
def test_an_encoder_stays_as_it_is(name: str) -> None:
    torch.manual_seed(0)
    network = create_depth_network(DepthNetworkConfig(name=name, width=8)).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    features = encoder_features(network, torch.rand(2, 3, 64, 96))
    assert features.shape[0] == 2 and not features.requires_grad
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(module.training for module in network.modules())
