# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sub-pixel decoder: rearrangement by loops, fresh weights, every encoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.engines.graphs.export import export_onnx
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.networks.model import create_depth_network
from sfm_depth_ros.networks.subpixel import SubPixel, SubPixelDepthNet

ENCODERS = ("small", "resnet18", "efficientnet_lite0", "lite_mono_tiny")


def network(name: str = "small") -> SubPixelDepthNet:
    torch.manual_seed(0)
    made = create_depth_network(DepthNetworkConfig(name=name, width=8, decoder="subpixel"))
    assert isinstance(made, SubPixelDepthNet)
    return made


def test_pixels_are_the_convolutions_channels() -> None:
    torch.manual_seed(0)
    layer = SubPixel(3, 2).double()
    torch.nn.init.normal_(layer.conv.weight)
    x = torch.rand(1, 3, 4, 5, dtype=torch.float64)
    flat, enlarged = layer.conv(x)[0], layer(x)[0]
    for c, v, u in np.ndindex(2, 8, 10):
        expected = flat[4 * c + 2 * (v % 2) + u % 2, v // 2, u // 2].item()
        assert enlarged[c, v, u].item() == pytest.approx(expected, abs=1e-12)


def test_a_fresh_layer_has_no_checkerboard() -> None:
    enlarged = SubPixel(3, 2)(torch.rand(1, 3, 4, 5))
    nearest = enlarged[..., ::2, ::2].repeat_interleave(2, -2).repeat_interleave(2, -1)
    torch.testing.assert_close(enlarged, nearest)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_gives_four_scales_and_gradients(name: str) -> None:
    made = network(name)
    depths = made(torch.rand(2, 3, 64, 96))
    assert [tuple(depth.shape[1:]) for depth in depths] == [
        (1, 64 // s, 96 // s) for s in (1, 2, 4, 8)
    ]
    torch.stack([depth.log().mean() for depth in depths]).sum().backward()
    without = [
        n for n, p in made.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ]
    assert without == []
    for depth in depths:
        assert 3 < float(depth.detach().median()) < 8  # fresh networks predict about 5 m


def test_the_finest_depth_alone_is_the_same() -> None:
    made, image = network().eval(), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(made.depth(image), made(image)[0])


def test_gradients_of_the_layer() -> None:
    layer = SubPixel(2, 1).double()
    x = torch.rand(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


def test_the_network_is_exported() -> None:
    assert len(export_onnx(network(), "depth")) > 1000  # compared with torch inside


def test_networks_without_an_encoder_are_refused() -> None:
    for name in ("dispnet", "packnet01", "depth_anything_v2_small"):
        with pytest.raises(ConfigError, match="decoder"):
            DepthNetworkConfig(name=name, decoder="subpixel")
