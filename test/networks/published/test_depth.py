# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Published depth networks: the same numbers as their authors' classes, through the names' maps.

The numbers were answered once by the original classes (packnet-sfm at de53b31, monodepth2 at
b676244), filled by ``published_weights``, on ``fixed_image(3, 64, 64)``. Of each of the four
scales, finest first: the corner (0, 0), the place (h // 2, w // 3), the corner (-1, -1), and the
mean; inverse depth in 1/m, for monodepth2 the sigmoid.
"""

from __future__ import annotations

import pytest
import torch
from published_weights import fixed_image, published_tensor
from torch import Tensor, nn

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.networks.model import create_depth_network
from sfm_depth_ros.networks.published.monodepth2 import (
    monodepth2_decoder_names,
    monodepth2_depth_config,
    monodepth2_encoder_names,
)
from sfm_depth_ros.networks.published.name_map import NameMap
from sfm_depth_ros.networks.published.packnet_sfm import (
    packnet_sfm_depth_config,
    packnet_sfm_depth_names,
)

Numbers = tuple[tuple[float, float, float, float], ...]

PACKNET = DepthNetworkConfig(name="packnet01", min_depth=0.5)
PACKNET_1B = DepthNetworkConfig(name="packnet01", skip_fusion="add", min_depth=0.5)
PACKNET_SLIM = DepthNetworkConfig(name="packnet_slim01", min_depth=0.5)
RESNETS = {
    layers: DepthNetworkConfig(name=f"resnet{layers}", min_depth=0.1, max_depth=100.0)
    for layers in (18, 34, 50)
}

PACKNET_SFM: dict[str, tuple[DepthNetworkConfig, Numbers]] = {
    "PackNet01 1A": (PACKNET, (
        (1.027025, 1.715789, 0.8150575, 0.8504302),
        (1.147485, 0.6223774, 0.8774362, 0.8782302),
        (0.9866355, 0.6460266, 1.138173, 1.069186),
        (0.9113769, 1.678318, 1.007502, 1.246008),
    )),
    "PackNet01 1B": (PACKNET_1B, (
        (1.076519, 1.083764, 1.037569, 1.115969),
        (1.112712, 0.5549988, 0.9673172, 0.9225317),
        (1.012024, 0.2942056, 0.845185, 0.7933853),
        (1.2518, 0.8277894, 0.9287178, 1.081436),
    )),
    "PackNetSlim01 1A": (PACKNET_SLIM, (
        (1.197953, 0.5701979, 0.8758669, 1.12461),
        (1.062894, 1.307839, 0.7929851, 1.010007),
        (1.001951, 1.734459, 1.203262, 1.043607),
        (0.9144416, 1.645988, 0.8526906, 1.248816),
    )),
    "DepthResNet 18": (RESNETS[18], (
        (5.051875, 6.406612, 6.861701, 6.295399),
        (2.539067, 4.220478, 6.213336, 4.85775),
        (9.340549, 8.14338, 8.849797, 9.178329),
        (1.529669, 1.17225, 1.506569, 1.361871),
    )),
    "DepthResNet 34": (RESNETS[34], (
        (6.135437, 7.014184, 7.402651, 6.833443),
        (3.411091, 4.737435, 5.966384, 5.555783),
        (9.892725, 9.761803, 9.369955, 9.859677),
        (2.643131, 0.9406348, 4.875709, 2.372153),
    )),
    "DepthResNet 50": (RESNETS[50], (
        (4.281948, 5.69206, 6.282875, 5.515475),
        (3.805636, 5.125211, 6.813195, 5.610738),
        (6.999556, 8.758266, 7.480997, 8.15136),
        (2.477897, 3.047661, 2.417633, 2.511266),
    )),
}  # fmt: skip

MONODEPTH2: dict[int, Numbers] = {
    18: (
        (0.5301375, 0.5642093, 0.5294293, 0.522993),
        (0.3829705, 0.2015965, 0.2723612, 0.2156996),
        (0.80975, 0.7989075, 0.8166499, 0.7632507),
        (0.260928, 0.06463077, 0.1081192, 0.1351702),
    ),
    34: (
        (0.4613241, 0.427385, 0.473335, 0.4518439),
        (0.4683737, 0.3086569, 0.327306, 0.2560309),
        (0.5326548, 0.6277563, 0.8554028, 0.6505041),
        (0.06440659, 0.03877729, 0.06014825, 0.04577309),
    ),
    50: (
        (0.4925918, 0.454418, 0.3912272, 0.4441321),
        (0.4689122, 0.3768902, 0.4156148, 0.3348265),
        (0.5149117, 0.4991168, 0.4320185, 0.4581896),
        (0.5791878, 0.5296881, 0.7254033, 0.6434627),
    ),
}

BIG = pytest.mark.slow  # half a gigabyte of weights


def empty(config: DepthNetworkConfig) -> nn.Module:
    with torch.device("meta"):
        return create_depth_network(config).eval()


def published_state(config: DepthNetworkConfig, names: NameMap) -> dict[str, Tensor]:
    shapes = {name: tuple(tensor.shape) for name, tensor in empty(config).state_dict().items()}
    return {name: published_tensor(name, shapes[own]) for name, own in names.ours.items()}


def depths(config: DepthNetworkConfig, weights: dict[str, Tensor]) -> list[Tensor]:
    """Depths of our network; loading is strict, so the map must be complete."""
    network = empty(config)
    network.load_state_dict({**weights, "log_scale": torch.zeros(())}, assign=True)
    with torch.inference_mode():
        return network(fixed_image(3, 64, 64))


def assert_same_numbers(maps: list[Tensor], expected: Numbers) -> None:
    for found, numbers in zip(maps, expected, strict=True):
        height, width = found.shape[-2:]
        places = found[0, 0, (0, height // 2, -1), (0, width // 3, -1)]
        both = torch.cat((places, found.mean()[None])), torch.tensor(numbers)
        torch.testing.assert_close(*both, rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("name", [
    "PackNet01 1A", pytest.param("PackNet01 1B", marks=BIG), "PackNetSlim01 1A",
    "DepthResNet 18", "DepthResNet 34", "DepthResNet 50",
])  # fmt: skip
def test_same_numbers_as_packnet_sfm(name: str) -> None:
    config, expected = PACKNET_SFM[name]
    names = packnet_sfm_depth_names(config)
    state = published_state(config, names)
    assert packnet_sfm_depth_config(state) == config
    found = depths(config, names.translated(state))
    assert_same_numbers([1.0 / depth for depth in found], expected)


@pytest.mark.parametrize("layers", [18, 34, 50])
def test_same_numbers_as_monodepth2(layers: int) -> None:
    config = RESNETS[layers]
    encoder, decoder = monodepth2_encoder_names(config), monodepth2_decoder_names(config)
    first, second = published_state(config, encoder), published_state(config, decoder)
    assert monodepth2_depth_config(first) == config
    found = depths(config, {**encoder.translated(first), **decoder.translated(second)})
    assert_same_numbers(
        [(1.0 / depth - 0.01) / (10.0 - 0.01) for depth in found], MONODEPTH2[layers]
    )


@pytest.mark.parametrize("config", [PACKNET, PACKNET_1B, PACKNET_SLIM, *RESNETS.values()])
def test_every_tensor_has_one_name(config: DepthNetworkConfig) -> None:
    own = sorted(set(empty(config).state_dict()) - {"log_scale"})
    assert sorted(packnet_sfm_depth_names(config).ours.values()) == own


def test_the_decoder_file_and_the_encoder_file_are_the_network() -> None:
    config = RESNETS[18]
    encoder, decoder = monodepth2_encoder_names(config), monodepth2_decoder_names(config)
    own = set(empty(config).state_dict()) - {"log_scale"}
    assert set(encoder.ours.values()) | set(decoder.ours.values()) == own
    assert set(encoder.ours.values()) & set(decoder.ours.values()) == set()


def test_what_stands_beyond_the_network_is_no_surprise() -> None:
    names = monodepth2_encoder_names(RESNETS[18])
    besides = ["encoder.fc.weight", "encoder.fc.bias", "height", "width", "use_stereo"]
    assert names.unexpected([*names.ours, *besides]) == []
    assert names.unexpected([*names.ours, "encoder.layer5.weight"]) == ["encoder.layer5.weight"]
    packnet_sfm = packnet_sfm_depth_names(RESNETS[18])
    assert packnet_sfm.unexpected(["encoder.encoder.fc.bias", "fc.bias"]) == ["fc.bias"]


def test_missing_names_are_told_but_for_counters() -> None:
    names = packnet_sfm_depth_names(RESNETS[18])
    old = [name for name in names.ours if not name.endswith("num_batches_tracked")]
    assert names.missing(old) == []
    assert names.missing(old[1:]) == old[:1]


def test_the_spelling_with_dropout_is_read_too() -> None:
    names = packnet_sfm_depth_names(PACKNET_SLIM)
    spelt = [name.replace(".conv3.", ".conv3.0.") for name in names.ours]
    assert spelt != list(names.ours)
    assert names.missing(spelt) == names.unexpected(spelt) == []
    tensor = torch.ones(1)
    assert names.translated({"conv2.0.conv3.0.bias": tensor}) == {
        "stages.1.0.shortcut.bias": tensor
    }


def test_other_checkpoints_are_not_taken_for_a_network() -> None:
    assert packnet_sfm_depth_config({"conv1.weight": torch.zeros(1)}) is None
    deeper = {f"encoder.layer3.{block}.conv3.weight": torch.zeros(1) for block in range(23)}
    assert (
        monodepth2_depth_config({**deeper, "encoder.layer4.0.conv1.weight": torch.zeros(1)})
        is None
    )
