# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ResNet-18, 34 and 50 as encoders (He et al., CVPR 2016), by torchvision's parameter names.

The names are the format of the ImageNet files that everyone has; the classifier is left out.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.networks.blocks import normalised
from sfm_depth_ros.networks.checkpoint_file import load_state

STAGE_CHANNELS = (64, 128, 256, 512)  # before a bottleneck's expansion
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut: the block of ResNet-18 and 34."""

    expansion = 1

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        """Args: channels in, channels of the convolutions, stride of the first one."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(inputs, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, channels, H / stride, W / stride)``."""
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        return functional.relu(self.bn2(self.conv2(y)) + self.downsample(x), inplace=True)


class Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1 around a shortcut: the block of ResNet-50.

    The stride is at the 3x3 convolution, as in the weights that everyone uses.
    """

    expansion = 4

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        """Args: channels in, channels of the 3x3 convolution, its stride."""
        super().__init__()
        outputs = channels * self.expansion
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` to ``(B, 4 channels, H / stride, W / stride)``."""
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = functional.relu(self.bn2(self.conv2(y)), inplace=True)
        return functional.relu(self.bn3(self.conv3(y)) + self.downsample(x), inplace=True)


class ResNetEncoder(nn.Module):
    """Features of one image, or of several stacked, at 1/2, 1/4, 1/8, 1/16 and 1/32."""

    def __init__(self, layers: int, images: int = 1) -> None:
        """Args: 18, 34 or 50; how many images are stacked along the channels."""
        super().__init__()
        block = Bottleneck if layers == 50 else BasicBlock
        # of the five feature maps, finest first
        self.channels = [64, *(channels * block.expansion for channels in STAGE_CHANNELS)]
        self.conv1 = nn.Conv2d(3 * images, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for index, (channels, blocks) in enumerate(
            zip(STAGE_CHANNELS, BLOCKS[layers], strict=True)
        ):
            stage = _stage(block, self.channels[index], channels, blocks, 2 if index else 1)
            self.add_module(f"layer{index + 1}", stage)
        self.apply(_initialise)

    def forward(self, image: Tensor) -> list[Tensor]:
        """``(B, 3 images, H, W)`` RGB in [0, 1] to five feature maps, finest first."""
        stem = functional.relu(self.bn1(self.conv1(normalised(image))), inplace=True)
        features = [stem]
        x = self.maxpool(stem)
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = self.get_submodule(name)(x)
            features.append(x)
        return features


def _stage(
    block: type[BasicBlock] | type[Bottleneck],
    inputs: int,
    channels: int,
    blocks: int,
    stride: int,
) -> nn.Sequential:
    """Blocks at one resolution; the first one takes the stride."""
    outputs = channels * block.expansion
    first = block(inputs, channels, stride)
    return nn.Sequential(first, *(block(outputs, channels, 1) for _ in range(blocks - 1)))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The block's input, projected where its shape is not the output's."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
    )


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


CLASSIFIER = "fc."
COUNTER = "num_batches_tracked"  # of batch norms; old files lack it and nothing reads it


def load_pretrained(encoder: ResNetEncoder, path: str) -> None:
    """Give an encoder the weights of a file with torchvision's names.

    Where the encoder takes several images, the first convolution's weights are repeated and
    divided by their number, so that equal images give the features of one (Monodepth2).

    Args:
        encoder: The encoder to fill.
        path: ``.safetensors``, else a file of ``torch.save``, of which tensors alone are read.

    Raises:
        ModelError: The file cannot be read, or belongs to another network.
    """
    state = {
        name: tensor
        for name, tensor in load_state(Path(path).expanduser()).items()
        if not name.startswith(CLASSIFIER)
    }
    if (first := state.get("conv1.weight")) is not None:
        images = encoder.conv1.in_channels // 3
        state["conv1.weight"] = first.repeat(1, images, 1, 1) / images
    own = encoder.state_dict()
    missing = sorted(name for name in own if name not in state and not name.endswith(COUNTER))
    unexpected = sorted(set(state) - set(own))
    reshaped = sorted(
        name for name in own.keys() & state.keys() if own[name].shape != state[name].shape
    )
    if missing or unexpected or reshaped:
        raise ModelError(
            f"{path} holds no weights of this encoder: missing {_some(missing)}, "
            f"unexpected {_some(unexpected)}, of another shape {_some(reshaped)}; "
            "give the file of the ResNet that the option name gives"
        )
    encoder.load_state_dict({**own, **state})


def _some(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    shown, rest = ", ".join(names[:3]), len(names) - 3
    return (f"{shown} and {rest} more" if rest > 0 else shown) or "nothing"
