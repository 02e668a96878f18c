# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pose network on a ResNet, in Monodepth2's topology (Godard et al., ICCV 2019).

PackNet-SfM's PoseResNet is the same; what the numbers mean differs, see ``pose_convention``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.config.schema import PoseNetworkConfig
from sfm_depth_ros.networks.pose import OUTPUT_SCALE, PoseNetwork
from sfm_depth_ros.networks.pretrained import load_pretrained
from sfm_depth_ros.networks.resnet import ResNetEncoder

WIDTH = 256
LAYERS = {"pose_resnet18": 18, "pose_resnet34": 34, "pose_resnet50": 50}


class PoseDecoder(nn.Module):
    """A 1x1, two 3x3 and a 1x1 convolution, then the mean over places."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Args: channels of the bottleneck, how many numbers are said."""
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, WIDTH, 1)
        self.first = nn.Conv2d(WIDTH, WIDTH, 3, 1, 1)
        self.second = nn.Conv2d(WIDTH, WIDTH, 3, 1, 1)
        self.head = nn.Conv2d(WIDTH, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, h, w)`` to ``(B, outputs)``."""
        for layer in (self.squeeze, self.first, self.second):
            x = functional.relu(layer(x))
        return self.head(x).mean(dim=(2, 3)) * OUTPUT_SCALE


class PoseResNet(PoseNetwork):
    """Two images to the motion between them."""

    def __init__(self, config: PoseNetworkConfig) -> None:
        """Build it from its shape."""
        encoder = ResNetEncoder(LAYERS[config.name], images=config.images)
        if config.pretrained:
            load_pretrained(encoder, config.pretrained)
        super().__init__(config, encoder.channels)
        self.encoder = encoder
        # Published decoders speak of two frames, of which their authors read the first.
        outputs = 6 if config.convention == "native" else 12
        self.decoder = PoseDecoder(encoder.channels[-1], outputs)

    def encode(self, stack: Tensor) -> list[Tensor]:
        """Five feature maps, down to 1/32."""
        return self.encoder(stack)

    def read_motion(self, features: list[Tensor]) -> Tensor:
        """Six numbers; with ``monodepth2`` twelve, with ``packnet_sfm`` the translation first."""
        said = self.decoder(features[-1])
        if self.config.convention != "packnet_sfm":
            return said
        return torch.cat((said[:, 3:6], said[:, :3]), dim=1)
