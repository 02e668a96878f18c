# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every pose network: shapes, scale as one number, what it says before training, gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sfm_depth_ros.config.networks import POSE_NETWORKS as NAMES
from sfm_depth_ros.config.networks import PoseNetworkConfig
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.networks import pose_heads, posenet, resnet
from sfm_depth_ros.networks.model import POSE_NETWORKS, create_pose_network

EXTRAS = {"explainability": True, "learn_intrinsics": True, "residual_translation": True}
every_network = pytest.mark.parametrize("name", [n for n in NAMES if n != "pose_resnet34"])


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few channels and blocks, so that the structure is tested in milliseconds."""
    monkeypatch.setattr(posenet, "CHANNELS", (16, 16, 16, 32, 32, 32, 32))
    monkeypatch.setattr(resnet, "STAGE_CHANNELS", (64, 32, 32, 32))
    monkeypatch.setattr(posenet, "WIDTH", 16)
    monkeypatch.setitem(resnet.BLOCKS, 18, (1, 1, 1, 1))
    monkeypatch.setattr(pose_heads, "MASK_CHANNELS", (16, 16, 8, 8, 8))


def seeded(name: str, **options: bool | str) -> nn.Module:
    torch.manual_seed(0)
    return create_pose_network(PoseNetworkConfig(name=name, width=8, **options))


def stack_for(network: nn.Module, rows: int = 2) -> torch.Tensor:
    return torch.rand(rows, 3 * network.images, 64, 96)


def test_the_factory_knows_every_name_of_the_options() -> None:
    assert set(POSE_NETWORKS) == set(NAMES)


@every_network
def test_a_motion_for_every_pair_of_neighbours(name: str) -> None:
    network = seeded(name).eval()
    images = 3 if name in ("posenet", "pose_expnet") else 2
    assert network.images == images
    with torch.inference_mode():
        motion = network(stack_for(network))
    assert motion.shape == (2, 6 * (images - 1))
    assert 0 < motion.abs().max() < 0.5


@every_network
@pytest.mark.parametrize("extras", [{}, EXTRAS])
def test_observing_says_the_same_motion(name: str, extras: dict[str, bool]) -> None:
    network = seeded(name, **extras).eval()
    stack = stack_for(network)
    with torch.inference_mode():
        assert torch.equal(network.observe(stack).motion, network(stack))


@every_network
def test_the_scale_multiplies_translations_alone(name: str) -> None:
    network = seeded(name, **EXTRAS).eval()
    stack = stack_for(network)
    with torch.inference_mode():
        for refinement in network.motion_field.refinements:
            nn.init.normal_(refinement.second.weight)
        before = network.observe(stack)
        network.log_scale.fill_(math.log(3.0))
        after = network.observe(stack)
    ratio = (after.motion / before.motion).unflatten(1, (-1, 2, 3))
    torch.testing.assert_close(ratio[:, :, 0], torch.full_like(ratio[:, :, 0], 3.0))
    torch.testing.assert_close(ratio[:, :, 1], torch.ones_like(ratio[:, :, 1]))
    torch.testing.assert_close(after.residual_translation, 3 * before.residual_translation)
    assert torch.equal(after.intrinsics, before.intrinsics)


@every_network
def test_what_is_said_before_training(name: str) -> None:
    network = seeded(name, **EXTRAS).train()  # norms know nothing yet that eval could use
    pairs = network.images - 1
    with torch.inference_mode():
        said = network.observe(stack_for(network))
    shapes = [tuple(mask.shape) for mask in said.explainability]
    assert shapes == [(2, pairs, 2, 64 // s, 96 // s) for s in (1, 2, 4, 8)]
    assert all(bool(((mask > 0) & (mask < 1)).all()) for mask in said.explainability)
    assert said.residual_translation.shape == (2, pairs, 2, 3, 64, 96)
    assert not said.residual_translation.any()
    K = torch.tensor([[96.0, 0.0, 47.5], [0.0, 96.0, 31.5], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(said.intrinsics, K.expand(2, 3, 3))


@every_network
def test_every_parameter_learns(name: str) -> None:
    """Masks, field and intrinsics too; the field's first layers once its last ones have moved."""
    network = seeded(name, **EXTRAS).train()
    for refinement in network.motion_field.refinements:
        nn.init.normal_(refinement.second.weight)
    said = network.observe(stack_for(network))
    parts = (said.motion, *said.explainability, said.residual_translation, said.intrinsics)
    sum((part * torch.rand_like(part)).sum() for part in parts).backward()
    still = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert still == []


def test_a_fresh_field_begins_to_move_at_once() -> None:
    network = seeded("small", residual_translation=True).train()
    network.observe(stack_for(network)).residual_translation.sum().backward()
    assert all(
        bool(refinement.second.weight.grad.any())
        for refinement in network.motion_field.refinements
    )


def test_axes_of_the_field_have_scales_of_their_own() -> None:
    network = seeded("small", residual_translation=True).eval()
    stack = stack_for(network)
    with torch.inference_mode():
        nn.init.ones_(network.motion_field.refinements[-1].second.bias)
        network.motion_field.axis_scale.copy_(torch.tensor([0.5, 0.0, 2.0]))
        field = network.observe(stack).residual_translation
    assert torch.equal(field[0, 0, 1, :, 5, 7], torch.tensor([0.5, 0.0, 2.0]))


def test_the_motion_alone_does_not_pay_for_extras() -> None:
    plain, full = seeded("small").eval(), seeded("small", **EXTRAS).eval()
    full.load_state_dict(plain.state_dict(), strict=False)
    full.explainability = full.motion_field = full.intrinsics = None
    stack = stack_for(plain)
    with torch.inference_mode():
        assert torch.equal(full(stack), plain(stack))


@pytest.mark.parametrize(("name", "convention"), [
    ("small", "monodepth2"), ("posenet", "monodepth2"), ("pose_expnet", "packnet_sfm"),
])  # fmt: skip
def test_conventions_belong_to_their_networks(name: str, convention: str) -> None:
    with pytest.raises(ConfigError, match=f"{convention} has no network '{name}'"):
        PoseNetworkConfig(name=name, convention=convention)


def test_imagenet_weights_are_for_resnets(tmp_path) -> None:
    with pytest.raises(ConfigError, match="leave it empty"):
        PoseNetworkConfig(name="posenet", pretrained="resnet18.pth")
    donor = resnet.ResNetEncoder(18)
    torch.save(donor.state_dict(), tmp_path / "resnet18.pth")
    network = seeded("pose_resnet18", pretrained=str(tmp_path / "resnet18.pth"))
    torch.testing.assert_close(network.encoder.conv1.weight[:, 3:], donor.conv1.weight / 2)
    torch.testing.assert_close(
        network.encoder.layer4[0].conv2.weight, donor.layer4[0].conv2.weight
    )


def test_the_graph_answers_what_torch_answers() -> None:
    """The exporter compares the two itself; extras stay out of the graph."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from sfm_depth_ros.engines.graphs.export import export_onnx

    network = seeded("pose_resnet18", convention="monodepth2", **EXTRAS).eval()
    graph = onnx.load_model_from_string(export_onnx(network, "pose")).graph
    assert {node.domain for node in graph.node} <= {""}, "standard operators alone"
    used = {initializer.name for initializer in graph.initializer}
    assert not {n for n in used if n.startswith(("explainability", "motion_field", "intrinsics"))}
