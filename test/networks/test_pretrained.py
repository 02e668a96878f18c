# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ImageNet weights from a file: torchvision's names, tensors alone, and clear refusals."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.model_folder.loading import load_network
from sfm_depth_ros.networks.model import create_depth_network
from sfm_depth_ros.networks.resnet import ResNetEncoder, load_pretrained


def torchvision_like(layers: int = 18) -> dict[str, Tensor]:
    """State as torchvision's files of that age hold it: no counters, but the classifier."""
    torch.manual_seed(1)
    state = ResNetEncoder(layers).state_dict()
    state = {
        name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")
    }
    return {**state, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


def saved(path: Path, state: dict[str, Tensor]) -> str:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return str(path)


@pytest.mark.parametrize("name", ["imagenet.pth", "imagenet.safetensors"])
def test_a_depth_network_begins_with_the_files_encoder(tmp_path: Path, name: str) -> None:
    state = torchvision_like()
    config = DepthNetworkConfig(name="resnet18", pretrained=saved(tmp_path / name, state))
    encoder = create_depth_network(config).encoder.state_dict()
    for key, tensor in state.items():
        if not key.startswith("fc."):
            assert torch.equal(encoder[key], tensor)


@pytest.mark.parametrize("name", ["imagenet.pth", "imagenet.safetensors"])
def test_an_encoder_saved_in_a_wrapper_is_known(tmp_path: Path, name: str) -> None:
    state = {f"module.{key}": tensor for key, tensor in torchvision_like().items()}
    encoder = ResNetEncoder(18)
    load_pretrained(encoder, saved(tmp_path / name, state))
    assert torch.equal(encoder.conv1.weight, state["module.conv1.weight"])


def test_equal_images_give_the_features_of_one(tmp_path: Path) -> None:
    path = saved(tmp_path / "imagenet.pth", torchvision_like())
    one, two = ResNetEncoder(18).eval(), ResNetEncoder(18, images=2).eval()
    load_pretrained(one, path)
    load_pretrained(two, path)
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        for a, b in zip(one(image), two(torch.cat((image, image), dim=1)), strict=True):
            torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-4)


def test_another_resnets_file_is_refused_by_names(tmp_path: Path) -> None:
    path = saved(tmp_path / "resnet18.pth", torchvision_like())
    with pytest.raises(ModelError, match=r"missing layer1.2.*and \d+ more, unexpected nothing"):
        load_pretrained(ResNetEncoder(34), path)
    with pytest.raises(ModelError, match=r"missing .*of another shape layer"):
        load_pretrained(ResNetEncoder(50), path)


def test_a_file_that_is_no_set_of_weights_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"not weights at all", pickle.dumps(tmp_path, protocol=2)):
        (tmp_path / "x.pth").write_bytes(content)
        with pytest.raises(ModelError, match=r"x\.pth is no file of torch\.save"):
            load_pretrained(ResNetEncoder(18), str(tmp_path / "x.pth"))
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be read as weights"):
        load_pretrained(ResNetEncoder(18), str(tmp_path / "x.safetensors"))
    torch.save({"epoch": 3, "state_dict": {}}, tmp_path / "training.pth")
    with pytest.raises(ModelError, match="not a plain set of weights"):
        load_pretrained(ResNetEncoder(18), str(tmp_path / "training.pth"))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    config = DepthNetworkConfig(name="resnet18", pretrained=str(tmp_path / "none.pth"))
    with pytest.raises(ModelError, match=r"none\.pth cannot be read \(.*No such file"):
        create_depth_network(config)
    create_depth_network(dataclasses.replace(config, pretrained=""))


def test_code_in_a_file_does_not_run(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "harm",)

    torch.save({"conv1.weight": Harm()}, tmp_path / "harmful.pth")
    with pytest.raises(ModelError, match="not a plain set of weights"):
        load_pretrained(ResNetEncoder(18), str(tmp_path / "harmful.pth"))
    assert not (tmp_path / "harm").exists()


def test_a_model_folder_needs_the_file_no_more() -> None:
    config = DepthNetworkConfig(name="resnet18", pretrained="gone.pth")
    weights = create_depth_network(dataclasses.replace(config, pretrained="")).state_dict()
    folder = SimpleNamespace(
        depth_config=config,
        path=Path("model"),
        depth_weights=lambda: {name: tensor.numpy() for name, tensor in weights.items()},
    )
    network = load_network(folder, "depth")
    assert torch.equal(network.encoder.conv1.weight, weights["encoder.conv1.weight"])
