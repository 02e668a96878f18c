# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lite-Mono: the same numbers as its authors' classes, and what tells its four sizes apart.

The numbers were computed once by the original classes (Lite-Mono at 4874b35), filled by
``published_weights``, on ``fixed_image(3, 96, 160)``: the sigmoid at 1, 1/2 and 1/4, of each the
corner (0, 0), the place (h // 2, w // 3), the corner (-1, -1), and the mean.
"""

from __future__ import annotations

import pytest
import torch
from published_weights import fixed_image, published_tensor
from torch import Tensor

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.networks.lite_mono import SHAPES, dilations, fourier_positions
from sfm_depth_ros.networks.model import create_depth_network
from sfm_depth_ros.networks.published.lite_mono import (
    lite_mono_config,
    lite_mono_decoder_names,
    lite_mono_encoder_names,
)
from sfm_depth_ros.networks.published.name_map import NameMap

NARROW, WIDE = (640, 192), (1024, 320)
ORIGINAL = {
    ("lite_mono", NARROW): (
        (0.5368046, 0.5006641, 0.4935319, 0.5312738),
        (0.5515228, 0.4767787, 0.408463, 0.4720385),
        (0.495732, 0.4980726, 0.4641047, 0.4799371),
    ),
    ("lite_mono", WIDE): (
        (0.5385652, 0.4971662, 0.4923414, 0.5305811),
        (0.5505057, 0.4761613, 0.407417, 0.4719858),
        (0.494186, 0.5012609, 0.4649581, 0.4800755),
    ),
    ("lite_mono_small", NARROW): (
        (0.5449399, 0.5030721, 0.497481, 0.5380431),
        (0.5491357, 0.472479, 0.409152, 0.4695368),
        (0.492905, 0.4984536, 0.4674827, 0.4799013),
    ),
    ("lite_mono_small", WIDE): (
        (0.5471094, 0.5003767, 0.496694, 0.5375284),
        (0.5477439, 0.4713242, 0.4082589, 0.4695763),
        (0.4911295, 0.5007347, 0.4667609, 0.4802637),
    ),
    ("lite_mono_tiny", NARROW): (
        (0.5173678, 0.5679839, 0.5624242, 0.5549558),
        (0.3941693, 0.4750589, 0.5184754, 0.4682753),
        (0.4685438, 0.4729369, 0.5039236, 0.5033971),
    ),
    ("lite_mono_tiny", WIDE): (
        (0.5165936, 0.5693122, 0.5640805, 0.5547269),
        (0.3935244, 0.4752162, 0.5190535, 0.4687129),
        (0.4678589, 0.4717551, 0.5034572, 0.5036503),
    ),
    ("lite_mono_8m", NARROW): (
        (0.4802009, 0.4244437, 0.4746411, 0.4466445),
        (0.4888406, 0.4409114, 0.3796528, 0.4072205),
        (0.5315022, 0.5534099, 0.5000023, 0.5097712),
    ),
    ("lite_mono_8m", WIDE): (
        (0.4802009, 0.4244437, 0.4746411, 0.4466445),
        (0.4888406, 0.4409114, 0.3796528, 0.4072205),
        (0.5315022, 0.5534099, 0.5000023, 0.5097712),
    ),
}  # fmt: skip
# Of the original classes, less the layer norms that nothing reads (two numbers a channel).
PARAMETERS = {
    "lite_mono": 3_074_747 - 2 * (3 * 48 + 3 * 80 + 9 * 128) + 1,
    "lite_mono_small": 2_476_859 - 2 * (3 * 48 + 3 * 80 + 6 * 128) + 1,
    "lite_mono_tiny": 2_147_659 - 2 * (3 * 32 + 3 * 64 + 6 * 128) + 1,
    "lite_mono_8m": 8_775_851 - 2 * (3 * 64 + 3 * 128 + 9 * 224) + 1,
}


def config_of(name: str, size: tuple[int, int]) -> DepthNetworkConfig:
    wide = size == WIDE and name != "lite_mono_8m"
    return DepthNetworkConfig(name=name, min_depth=0.1, max_depth=100.0, wide_dilations=wide)


def published_state(config: DepthNetworkConfig, names: NameMap) -> dict[str, Tensor]:
    with torch.device("meta"):
        own = create_depth_network(config).state_dict()
    return {
        name: published_tensor(name, tuple(own[our].shape)) for name, our in names.ours.items()
    }


@pytest.mark.parametrize(("name", "size"), list(ORIGINAL))
def test_same_numbers_as_the_authors_classes(name: str, size: tuple[int, int]) -> None:
    config = config_of(name, size)
    encoder, decoder = lite_mono_encoder_names(config), lite_mono_decoder_names(config)
    first, second = published_state(config, encoder), published_state(config, decoder)
    assert lite_mono_config(first, size) == config
    network = create_depth_network(config).eval()
    network.load_state_dict({
        **encoder.translated(first), **decoder.translated(second), "log_scale": torch.zeros(()),
    })  # fmt: skip
    with torch.inference_mode():
        depths = network(fixed_image(3, 96, 160))
    for depth, expected in zip(depths, ORIGINAL[name, size], strict=True):
        sigmoid = (1.0 / depth - 0.01) / (10.0 - 0.01)
        height, width = depth.shape[-2:]
        places = sigmoid[0, 0, (0, height // 2, -1), (0, width // 3, -1)]
        found = torch.cat((places, sigmoid.mean()[None]))
        torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("name", list(SHAPES))
def test_parameters(name: str) -> None:
    network = create_depth_network(DepthNetworkConfig(name=name))
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[name]


def test_every_tensor_has_one_name_and_what_is_unread_is_no_surprise() -> None:
    config = config_of("lite_mono_tiny", NARROW)
    encoder, decoder = lite_mono_encoder_names(config), lite_mono_decoder_names(config)
    own = set(create_depth_network(config).state_dict()) - {"log_scale"}
    assert sorted([*encoder.ours.values(), *decoder.ours.values()]) == sorted(own)
    besides = ["height", "width", "use_stereo", "stages.0.0.norm.weight"]
    assert encoder.unexpected([*encoder.ours, *besides]) == []
    foreign = ["stages.3.0.gamma", "stages.0.3.norm2.bias"]
    assert encoder.unexpected([*encoder.ours, *foreign]) == sorted(foreign)


def test_another_checkpoint_is_not_taken_for_a_size() -> None:
    tiny = published_state(
        (config := config_of("lite_mono_tiny", NARROW)), lite_mono_encoder_names(config)
    )
    longer = {name.replace("stages.2.6.", "stages.2.7."): t for name, t in tiny.items()}
    assert lite_mono_config({**tiny, **longer}, NARROW) is None
    assert lite_mono_config({"encoder.conv1.weight": torch.zeros(1)}, NARROW) is None


def test_dilations_of_the_paper() -> None:
    assert dilations(SHAPES["lite_mono"], wide=False) == (
        (1, 2, 3), (1, 2, 3), (1, 2, 3, 1, 2, 3, 2, 4, 6),
    )  # fmt: skip
    assert dilations(SHAPES["lite_mono_small"], wide=True)[2] == (1, 2, 5, 2, 4, 10)
    assert dilations(SHAPES["lite_mono_8m"], wide=True)[2] == (1, 2, 3, 1, 2, 3, 2, 4, 6)


def test_positions_are_sines_and_cosines_of_row_and_column() -> None:
    found = fourier_positions(torch.zeros(2, 5, 3, 4))
    assert found.shape == (1, 64, 3, 4)
    row, column = 2 / 3 * 2 * torch.pi, 3 / 4 * 2 * torch.pi  # the second row, the third column
    expected = torch.tensor([row, row, column, column])
    expected[::2], expected[1::2] = expected[::2].sin(), expected[1::2].cos()
    torch.testing.assert_close(
        found[0, (0, 1, 32, 33), 1, 2], expected.float(), rtol=0.0, atol=1e-5
    )
