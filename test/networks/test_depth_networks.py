# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every depth network: shapes, scale as one number, gradients everywhere, sizes it cannot take."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sfm_depth_ros.config.networks import DEPTH_NETWORKS as NAMES
from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.networks import depth_anything, dispnet, packnet, resnet
from sfm_depth_ros.networks.acceleration import channels_last
from sfm_depth_ros.networks.model import DEPTH_NETWORKS, create_depth_network

OF_THE_FIELD = [DepthNetworkConfig(name=name) for name in NAMES if name != "small"]
SCALES = {"efficientnet": (1, 4, 8, 16), "lite_mono": (1, 2, 4), "depth_anything": (1,)}
VARIANTS = [
    *OF_THE_FIELD,
    DepthNetworkConfig(name="packnet01", skip_fusion="add"),
    DepthNetworkConfig(name="packnet_slim01", skip_fusion="add"),
    DepthNetworkConfig(name="depth_anything_v2_small", head="inverse-affine"),
]


def label(config: DepthNetworkConfig) -> str:
    return config.name + ("+" if config.skip_fusion == "add" else "") + config.head[6:]


def scales(config: DepthNetworkConfig) -> tuple[int, ...]:
    """Divisors of the image's size, one for each depth."""
    return next((s for name, s in SCALES.items() if config.name.startswith(name)), (1, 2, 4, 8))


def size(config: DepthNetworkConfig, *units: int) -> list[int]:
    """Sides of so many times 32 pixels, or for networks of patches about that."""
    return [unit * 32 if config.multiple == 32 else unit * 28 for unit in units]


every_network = pytest.mark.parametrize("config", VARIANTS, ids=label)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few channels, so that the structure is tested in milliseconds."""
    widths = packnet.PackNetShape((16, 16, 32, 64, 128), 4)
    for name in packnet.SHAPES:
        monkeypatch.setitem(packnet.SHAPES, name, widths)
    monkeypatch.setattr(dispnet, "DOWN_CHANNELS", (4, 8, 8, 8, 8, 8, 8))
    monkeypatch.setattr(dispnet, "UP_CHANNELS", (8, 8, 8, 8, 8, 4, 4))
    monkeypatch.setattr(resnet, "STAGE_CHANNELS", (64, 32, 32, 32))
    tiny = depth_anything.DepthAnythingShape(
        depth_anything.ViTShape(24, 4, 2, (0, 1, 2, 3)), (8, 8, 8, 8), 8
    )
    for name in depth_anything.SHAPES:
        monkeypatch.setitem(depth_anything.SHAPES, name, tiny)


def seeded(config: DepthNetworkConfig) -> nn.Module:
    torch.manual_seed(0)
    return create_depth_network(config)


def test_the_factory_knows_every_name_of_the_options() -> None:
    assert set(DEPTH_NETWORKS) == set(NAMES)


@every_network
@pytest.mark.parametrize("units", [(2, 3), (3, 2)])
def test_all_scales_finest_first(config: DepthNetworkConfig, units: tuple[int, int]) -> None:
    network = seeded(config).eval()
    height, width = size(config, *units)
    image = torch.rand(2, 3, height, width)
    with torch.inference_mode():
        depths = network(image)
        finest = network.depth(image)
    sizes = [tuple(depth.shape) for depth in depths]
    assert sizes == [(2, 1, height // s, width // s) for s in scales(config)]
    torch.testing.assert_close(finest, depths[0])
    assert all(bool((depth >= config.min_depth * (1 - 1e-5)).all()) for depth in depths)
    if "packnet" not in config.name and config.head == "metric":
        assert all(bool((depth <= config.max_depth * (1 + 1e-5)).all()) for depth in depths)


@every_network
def test_every_parameter_gets_a_gradient_and_scale_is_one_number(
    config: DepthNetworkConfig,
) -> None:
    network = seeded(config)
    depths = network(torch.rand(2, 3, *size(config, 2, 2)))
    sum(depth.log().mean() for depth in depths).backward()
    silent = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert silent == []
    # d mean(log depth) / d log_scale is 1 at each scale.
    torch.testing.assert_close(network.log_scale.grad, torch.tensor(float(len(scales(config)))))


@every_network
def test_log_scale_multiplies_every_depth(config: DepthNetworkConfig) -> None:
    network = seeded(config).eval()
    image = torch.rand(1, 3, *size(config, 2, 2))
    with torch.no_grad():
        before = network(image)
        network.log_scale.fill_(0.5)
        after = network(image)
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old * torch.tensor(0.5).exp())


@every_network
def test_a_batch_is_its_images(config: DepthNetworkConfig) -> None:
    network = seeded(config).eval()
    images = torch.rand(2, 3, *size(config, 2, 2))
    with torch.inference_mode():
        both, second = network.depth(images)[1:], network.depth(images[1:])
    torch.testing.assert_close(both, second, rtol=1e-4, atol=1e-5)


@every_network
@pytest.mark.parametrize(("height", "width"), [(64, 83), (99, 64)])
def test_a_size_that_does_not_fit_is_refused(
    config: DepthNetworkConfig, height: int, width: int
) -> None:
    network = seeded(config).eval()
    near = [round(side / config.multiple) * config.multiple for side in (width, height)]
    remedy = f"{near[0]}x{near[1]}"
    for call in (network, network.depth):
        with pytest.raises(DataError, match=f"got {width}x{height}; resize them to {remedy}"):
            call(torch.rand(1, 3, height, width))


def test_mirrored_borders_need_two_features_at_the_coarsest_stage() -> None:
    network = seeded(DepthNetworkConfig(name="resnet18")).eval()
    with pytest.raises(DataError, match="at least 64x64"):
        network(torch.rand(1, 3, 32, 64))
    shapes = [
        tuple(d.shape)
        for d in seeded(DepthNetworkConfig(name="dispnet"))(torch.rand(1, 3, 32, 96))
    ]
    assert shapes[0] == (1, 1, 32, 96)


@pytest.mark.parametrize("name", ["packnet01", "resnet18", "dispnet"])
def test_same_seed_same_network(name: str) -> None:
    first, second = (seeded(DepthNetworkConfig(name=name)) for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


@every_network
def test_the_memory_format_changes_no_number(config: DepthNetworkConfig) -> None:
    network = seeded(config).eval()
    image = torch.rand(1, 3, *size(config, 2, 2))
    with torch.inference_mode():
        before = network.depth(image)
    after = channels_last(network).depth(image.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(after.detach(), before, rtol=1e-4, atol=1e-5)
    kernels = [tensor for tensor in network.parameters() if tensor.dim() == 4]
    laid = [kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels]
    assert "packnet" in config.name or all(laid)
