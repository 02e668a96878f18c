# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth Anything V2: the same numbers as its authors' classes, in both layouts and three heads.

The numbers were computed once by the original classes (Depth-Anything-V2 at a561b84), filled by
``published_weights``, on ``fixed_image``: the corner (0, 0), the place (h // 2, w // 3), the
corner (-1, -1), the mean, the smallest and the largest value.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from published_weights import fixed_image, published_tensor
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.errors import ConfigError, DataError
from sfm_depth_ros.networks.depth_anything import DepthAnythingV2
from sfm_depth_ros.networks.model import create_depth_network
from sfm_depth_ros.networks.published.depth_anything import (
    authors_layout,
    depth_anything_config,
    depth_anything_names,
)
from sfm_depth_ros.networks.vit import GRID, cubic_weights

SMALL = DepthNetworkConfig(name="depth_anything_v2_small", head="inverse-affine")
BASE = replace(SMALL, name="depth_anything_v2_base")
BIG = pytest.mark.slow  # 97 million numbers by formula
OUTDOORS, INDOORS = (replace(SMALL, head="metric", max_depth=maximum) for maximum in (80.0, 20.0))
# The metric head with formula weights of both maxima: sigmoids times 80 and 20.
ORIGINAL = {
    "relative 112x70": (SMALL, (70, 112), (0.0, 0.0, 0.1390407, 0.04585022, 0.0, 0.8303502)),
    "relative 252x140": (SMALL, (140, 252), (0.1566712, 0.0, 0.0, 0.04571487, 0.0, 0.9948697)),
    "relative 280x518": (SMALL, (518, 280), (0.146189, 0.0, 0.0, 0.05664072, 0.0, 1.492106)),
    "relative 518x518": (SMALL, (518, 518), (0.1150166, 0.0, 0.0, 0.06629123, 0.0, 1.455447)),
    "outdoors": (OUTDOORS, (70, 112),
                 (34.34351, 23.89006, 42.77634, 34.54635, 10.46533, 55.71432)),
    "indoors": (INDOORS, (70, 112), (8.585878, 5.972516, 10.69409, 8.636588, 2.616334, 13.92858)),
    "base": (BASE, (140, 252), (0.0, 0.0, 0.121078, 0.05777456, 0.0, 1.092657)),
}  # fmt: skip
LARGE_SIZES = {"relative 280x518", "relative 518x518", "base"}


def published_state(config: DepthNetworkConfig) -> dict[str, Tensor]:
    with torch.device("meta"):
        own = create_depth_network(config).state_dict()
    names = depth_anything_names(config).ours
    return {name: published_tensor(name, tuple(own[our].shape)) for name, our in names.items()}


def loaded(config: DepthNetworkConfig, state: dict[str, Tensor]) -> DepthAnythingV2:
    with torch.device("meta"):
        network = create_depth_network(config).eval()
    own = {name: torch.zeros(()) for name in ("log_scale", "shift") if hasattr(network, name)}
    translated = depth_anything_names(config).translated(state)
    network.load_state_dict({**translated, **own}, assign=True)
    return network


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=BIG if case in LARGE_SIZES else ()) for case in ORIGINAL]
)
def test_same_numbers_as_the_authors_classes(case: str) -> None:
    config, (height, width), expected = ORIGINAL[case]
    state = published_state(config)
    assert depth_anything_config(state) == DepthNetworkConfig(name=config.name)
    network = loaded(config, state)
    with torch.inference_mode():
        image = fixed_image(3, height, width)
        out, depth = network.outputs(image)[0], network.depth(image)
    places = out[0, 0, (0, height // 2, -1), (0, width // 3, -1)]
    found = torch.cat((places, torch.stack((out.mean(), out.min(), out.max()))))
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=5e-6)
    meant = out if config.head == "metric" else 1.0 / out.clamp(min=1e-6)
    torch.testing.assert_close(depth, meant)


def in_transformers_layout(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights as the package transformers writes them (5.24, seen in its file)."""
    renamed = {}
    for name, tensor in state.items():
        if ".qkv." in name:
            place, kind = name.split(".attn.qkv.")
            block = place.replace("pretrained.blocks", "backbone.encoder.layer")
            for part, values in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                renamed[f"{block}.attention.attention.{part}.{kind}"] = values
            continue
        for old, new in (
            ("pretrained.patch_embed.proj", "backbone.embeddings.patch_embeddings.projection"),
            ("pretrained.pos_embed", "backbone.embeddings.position_embeddings"),
            ("pretrained.cls_token", "backbone.embeddings.cls_token"),
            ("pretrained.norm", "backbone.layernorm"),
            ("pretrained.blocks", "backbone.encoder.layer"),
            ("attn.proj", "attention.output.dense"),
            ("ls1.gamma", "layer_scale1.lambda1"),
            ("ls2.gamma", "layer_scale2.lambda1"),
            ("scratch.output_conv1", "scratch.conv1"),
            ("scratch.output_conv2.0", "scratch.conv2"),
            ("scratch.output_conv2.2", "scratch.conv3"),
            ("depth_head.scratch.conv", "head.conv"),
            ("depth_head.projects.", "neck.reassemble_stage.layers.*projection."),
            ("depth_head.resize_layers.", "neck.reassemble_stage.layers.*resize."),
            ("resConfUnit1.conv", "residual_layer1.convolution"),
            ("resConfUnit2.conv", "residual_layer2.convolution"),
            ("out_conv", "projection"),
        ):
            name = name.replace(old, new)
        if "*" in name:  # the stage's number stands before, not after
            before, after = name.split("*")
            layer, number, kind = after.split(".")
            name = f"{before}{number}.{layer}.{kind}"
        for stage in range(1, 5):
            name = name.replace(f"depth_head.scratch.layer{stage}_rn", f"neck.convs.{stage - 1}")
            name = name.replace(
                f"depth_head.scratch.refinenet{stage}", f"neck.fusion_stage.layers.{4 - stage}"
            )
        renamed[name] = tensor
    return renamed


def test_the_layout_of_transformers_holds_the_same_tensors() -> None:
    state = published_state(SMALL)
    other = in_transformers_layout(state)
    assert len(other) == len(state) + 2 * 2 * 12  # queries, keys and values apart
    assert not any(name.startswith(("pretrained", "depth_head")) for name in other)
    back = authors_layout(other)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in state.items())
    assert authors_layout(state) == state


def test_what_the_files_hold_besides_is_no_surprise() -> None:
    names = depth_anything_names(SMALL)
    unread = "depth_head.scratch.refinenet4.resConfUnit1.conv1.weight"
    assert names.unexpected([*names.ours, "pretrained.mask_token", unread]) == []
    assert names.unexpected(["pretrained.register_tokens"]) == ["pretrained.register_tokens"]
    assert depth_anything_config({"pretrained.cls_token": torch.zeros(1, 1, 1536)}) is None


@pytest.mark.parametrize("size", [10, 18, 36, 37, 38, 74])
def test_positions_are_resized_as_published(size: int) -> None:
    grid = torch.rand(1, 1, GRID, GRID)
    place = torch.arange(float(size))
    for offset in (0.0, 0.1):
        weights = cubic_weights(place, torch.tensor(offset))
        factor = (size + offset) / GRID
        if offset:
            resized = functional.interpolate(grid, scale_factor=(factor, factor), mode="bicubic")
        else:
            resized = functional.interpolate(grid, size=(size, size), mode="bicubic")
        found = weights @ grid[0, 0] @ weights.T
        torch.testing.assert_close(found, resized[0, 0], rtol=0.0, atol=2e-5)
        torch.testing.assert_close(weights.sum(1), torch.ones(size), rtol=0.0, atol=1e-5)


def test_shift_and_scale_are_the_two_numbers_of_an_affine_head(tiny_shape: str) -> None:
    config = replace(SMALL, name=tiny_shape)
    network = create_depth_network(config).eval()
    with torch.no_grad():
        network.decoder.heads.bias.fill_(0.3)
        network.log_scale.fill_(0.7)
        network.shift.fill_(0.05)
        image = torch.rand(1, 3, 28, 42)
        out, depth = network.outputs(image)[0], network.depth(image)
    A = torch.exp(torch.tensor(-0.7))
    torch.testing.assert_close(depth, 1.0 / (A * out + A * 0.05))


def test_sides_are_multiples_of_14(tiny_shape: str) -> None:
    network = create_depth_network(replace(SMALL, name=tiny_shape)).eval()
    with pytest.raises(DataError, match="multiples of 14, got 64x96; resize them to 70x98"):
        network.depth(torch.rand(1, 3, 96, 64))


def test_other_networks_have_one_head() -> None:
    with pytest.raises(ConfigError, match="'resnet18' is metric, got 'inverse-affine'"):
        DepthNetworkConfig(name="resnet18", head="inverse-affine")


@pytest.fixture
def tiny_shape(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a size that was made small."""
    from sfm_depth_ros.networks import depth_anything, vit

    shape = depth_anything.DepthAnythingShape(vit.ViTShape(24, 4, 2, (0, 1, 2, 3)), (8,) * 4, 8)
    monkeypatch.setitem(depth_anything.SHAPES, "depth_anything_v2_small", shape)
    return "depth_anything_v2_small"
