# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth networks at their published widths: parameters, initialisation, options."""

from __future__ import annotations

import pytest
import torch

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.networks import packnet
from sfm_depth_ros.networks.model import create_depth_network
from sfm_depth_ros.networks.packnet import Packing
from sfm_depth_ros.networks.resnet import ResNetEncoder


@pytest.mark.parametrize(("name", "fusion", "count"), [
    # As counted from the authors' classes (ResNets: without the classifier of ImageNet), and for
    # DispNet by hand from the papers' layer lists; one more here, log_scale.
    ("packnet01", "concatenate", 128_294_020),
    ("packnet01", "add", 124_164_580),
    ("packnet_slim01", "concatenate", 76_997_796),
    ("resnet18", "concatenate", 14_842_236 - 513_000),
    ("resnet34", "concatenate", 24_950_396 - 513_000),
    ("resnet50", "concatenate", 34_571_132 - 2_049_000),
    ("dispnet", "concatenate", 31_596_900),
    ("dispnet_monodepth", "concatenate", 31_596_900),
    # Published, less the mask token and the coarsest stage's first unit, which nothing reads.
    ("depth_anything_v2_small", "concatenate", 24_785_089 - 384 - 2 * (64 * 64 * 9 + 64)),
    ("depth_anything_v2_base", "concatenate", 97_470_785 - 768 - 2 * (128 * 128 * 9 + 128)),
])  # fmt: skip
def test_as_many_parameters_as_published(name: str, fusion: str, count: int) -> None:
    with torch.device("meta"):
        network = create_depth_network(DepthNetworkConfig(name=name, skip_fusion=fusion))
    assert sum(parameter.numel() for parameter in network.parameters()) == count + 1


def test_initialisation_as_published() -> None:
    torch.manual_seed(0)
    packing = Packing(64, 3, 4)
    packing.apply(packnet.initialise)
    kernel = packing.join.conv.weight  # (64, 1024, 3, 3); Xavier, uniform
    bound = (6.0 / ((1024 + 64) * 9)) ** 0.5
    assert 0.99 * bound < kernel.abs().max() <= bound
    assert not packing.join.conv.bias.any()
    kernel = ResNetEncoder(18).conv1.weight.detach()  # (64, 3, 7, 7); Kaiming, by what goes out
    assert float(kernel.std()) == pytest.approx((2.0 / (64 * 49)) ** 0.5, rel=0.03)


@pytest.mark.parametrize(("options", "message"), [
    ({"name": "packnet02"}, "expected one of small, packnet01.*or timm:NAME, got 'packnet02'"),
    ({"name": "packnet01", "skip_fusion": "multiply"}, "expected one of concatenate, add"),
    ({"name": "packnet01", "pretrained": "x.pth"}, "resnet50 and efficientnet_lite0 alone"),
])  # fmt: skip
def test_options_that_make_no_sense_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DepthNetworkConfig(**options)
