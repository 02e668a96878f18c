# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encoders of timm: by a stand-in with timm's two names, and where timm cannot be imported."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.errors import ConfigError, MissingDependencyError
from sfm_depth_ros.networks.model import create_depth_network
from sfm_depth_ros.optional import require

PYRAMIDS = {
    "five": ((2, 4, 8, 16, 32), (4, 6, 8, 10, 12)),
    "four": ((4, 8, 16, 32), (6, 8, 10, 12)),  # as ConvNeXt: nothing at 1/2
    "doubled": ((2, 4, 8, 16, 16, 32), (4, 6, 8, 9, 10, 12)),
    "plain": ((16, 16), (8, 8)),  # as a vision transformer
}


class Pyramid(nn.Module):
    """Pyramid of features, as ``timm.create_model(..., features_only=True)`` returns it."""

    def __init__(self, reductions: tuple[int, ...], channels: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3, width, 1) for width in channels)
        self.reductions = reductions
        self.feature_info = SimpleNamespace(
            reduction=lambda: list(reductions), channels=lambda: list(channels)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        assert image.shape[-1] != 160, "width (160) doesn't match model (224)"
        return [
            layer(nn.functional.avg_pool2d(image, reduction))
            for layer, reduction in zip(self.layers, self.reductions, strict=True)
        ]


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(name: str, pretrained: bool, features_only: bool) -> Pyramid:
        assert features_only and not pretrained
        if name not in PYRAMIDS:
            raise RuntimeError(f"Unknown model ({name})")
        return Pyramid(*PYRAMIDS[name])

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize("name", ["five", "four", "doubled"])
def test_a_pyramid_carries_the_decoder(name: str) -> None:
    network = create_depth_network(DepthNetworkConfig(name=f"timm:{name}"))
    depths = network(torch.rand(1, 3, 64, 96))
    assert [tuple(d.shape[-2:]) for d in depths] == [(64, 96), (32, 48), (16, 24), (8, 12)]
    sum(depth.log().mean() for depth in depths).backward()
    silent = [key for key, parameter in network.named_parameters() if parameter.grad is None]
    # Of two features at 1/16 the deeper one is used.
    assert silent == (
        ["encoder.model.layers.3.weight", "encoder.model.layers.3.bias"]
        if name == "doubled"
        else []
    )
    torch.testing.assert_close(
        network.depth(torch.ones(1, 3, 64, 64)), network(torch.ones(1, 3, 64, 64))[0]
    )


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize(("name", "message"), [
    ("plain", r"'plain' gives features at 1/\[16\].*choose a convolutional model"),
    ("nonsense", r"cannot build 'nonsense' as an encoder \(Unknown model \(nonsense\)\)"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_depth_network(DepthNetworkConfig(name=f"timm:{name}"))


@pytest.mark.usefixtures("timm")
def test_a_model_of_one_image_size_says_so() -> None:
    network = create_depth_network(DepthNetworkConfig(name="timm:five"))
    with pytest.raises(ConfigError, match=r"does not take every image \(width \(160\)"):
        network.depth(torch.rand(1, 3, 64, 160))


def test_without_timm_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingDependencyError, match=r"timm.*pip install timm"):
        create_depth_network(DepthNetworkConfig(name="timm:resnet26"))


def test_a_compiled_part_that_does_not_fit_is_told_alike(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken_package.py"
    broken.write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingDependencyError, match="torchvision::nms does not exist"):
        require("broken_package")
