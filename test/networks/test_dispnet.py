# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fresh DispNets: the image reaches the coarsest layer, depth begins flat."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sfm_depth_ros.config.schema import DepthNetworkConfig
from sfm_depth_ros.networks.dispnet import DispNet, keep_variance

CHANNELS = 64


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(CHANNELS, 48, 3, 1, 1),
        nn.Conv2d(CHANNELS, 48, 5, 2, 2),
        nn.ConvTranspose2d(CHANNELS, 48, 3, 2, padding=1, output_padding=1),
    ],
    ids=["convolution", "halving", "enlarging"],
)
def test_a_layer_keeps_the_variance_before_the_relu(layer: nn.Module) -> None:
    torch.manual_seed(0)
    keep_variance(layer)
    with torch.no_grad():
        found = layer(torch.relu(torch.randn(2, CHANNELS, 48, 48)))[..., 4:-4, 4:-4]
    assert found.square().mean().item() == pytest.approx(1.0, rel=0.1)


def test_the_image_reaches_the_coarsest_features_and_depth_begins_flat() -> None:
    torch.manual_seed(0)
    network = DispNet(DepthNetworkConfig(name="dispnet")).eval()
    first, second = torch.rand(2, 1, 3, 128, 256)
    with torch.no_grad():
        features = [nn.Sequential(*network.down)(image * 2 - 1) for image in (first, second)]
        depth = network(first)[0]
    assert (features[0] - features[1]).std().item() > 0.02  # Xavier: 0.00007
    assert depth.log().std().item() < 0.1
