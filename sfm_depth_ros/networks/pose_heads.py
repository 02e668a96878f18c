# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Optional heads of pose networks: explainability, intrinsics, residual motion.

Explainability: Zhou et al., SfMLearner, CVPR 2017. The others: Gordon et al., Depth from Videos
in the Wild, ICCV 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

MASK_INPUT = 4  # the feature map at 1/32
MASK_CHANNELS = (256, 128, 64, 32, 16)  # after each doubling of the size
MASK_KERNELS = (3, 3, 3, 5, 7)
MASKS = 4


class ExplainabilityHead(nn.Module):
    """Masks at the image's size and at 1/2, 1/4 and 1/8 of it, from the features at 1/32.

    Of each pair of neighbours one mask lies at the earlier image's pixels and one at the later's:
    so whichever of the two is the target has its own. A sigmoid stands for the authors' softmax
    over two channels, which is equivalent.

    Args:
        channels: Channels of the pose network's feature maps, finest first.
        pairs: How many pairs of neighbours it sees.
    """

    def __init__(self, channels: Sequence[int], pairs: int) -> None:
        super().__init__()
        self.pairs = pairs
        inputs = (channels[MASK_INPUT], *MASK_CHANNELS)
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(a, b, kernel, 2, kernel // 2, output_padding=1)
            for a, b, kernel in zip(inputs, MASK_CHANNELS, MASK_KERNELS, strict=False)
        )
        self.masks = nn.ModuleList(
            nn.Conv2d(width, 2 * pairs, kernel, 1, kernel // 2)
            for width, kernel in zip(MASK_CHANNELS[-MASKS:], MASK_KERNELS[-MASKS:], strict=True)
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Masks ``(B, pairs, 2, h, w)`` in (0, 1), finest first."""
        x, masks = features[MASK_INPUT], []
        for step, enlarge in enumerate(self.enlarge):
            x = functional.relu(enlarge(x))
            if step >= len(MASK_CHANNELS) - MASKS:
                mask = self.masks[step - len(MASK_CHANNELS) + MASKS](x)
                masks.append(torch.sigmoid(mask).unflatten(1, (self.pairs, 2)))
        return masks[::-1]


ONE = math.log(math.e - 1)  # softplus of it is 1
SHARED_RATE = 40.0  # the part shared by all images learns this many times faster
NARROW = 0.02  # of the image's size: how far pixel shape and principal point go for an output of 1


class IntrinsicsHead(nn.Module):
    """Focal length, pixel shape and principal point from the bottleneck of a pose network.

    A fresh head predicts an ordinary camera: a focal length of the image's width (a field of
    view of 53 degrees), square pixels and the principal point in the middle. The authors start
    at 0.69 times the width and the height, which is no camera that exists.

    A drive has one camera, so the part shared by all images learns faster than the part of a
    single image. Rotations of the drive make the focal length observable, whereas only pitch and
    roll separate pixel shape and principal point from the direction of travel: these learn slowly.
    The authors' four free numbers drift there, and from image to image.

    Args:
        channels: Channels of the bottleneck.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shared = nn.Parameter(torch.zeros(4))
        self.linear = nn.Linear(channels, 4, bias=False)
        nn.init.zeros_(self.linear.weight)

    def forward(self, bottleneck: Tensor, height: int, width: int) -> Tensor:
        """K in pixels.

        Args:
            bottleneck: ``(B, channels, h, w)``.
            height: The image's height in pixels.
            width: Its width.

        Returns:
            ``(B, 3, 3)``.
        """
        found = functional.normalize(bottleneck.mean(dim=(2, 3)), p=1.0)
        output = self.linear(found).float() + SHARED_RATE * self.shared  # (B, 4)
        fx = functional.softplus(output[:, 0] + ONE) * width
        fy = fx * torch.exp(NARROW * output[:, 1])
        cx = (NARROW * output[:, 2] + 0.5) * width - 0.5  # pixel centres lie at integers
        cy = (NARROW * output[:, 3] + 0.5) * height - 0.5
        zero, one = torch.zeros_like(fx), torch.ones_like(fx)
        return torch.stack((fx, zero, cx, zero, fy, cy, zero, zero, one), 1).unflatten(1, (3, 3))


WIDEST = 64  # channels of a refinement
SCALE = 0.1  # metres for an output of 1, at the start


class Refinement(nn.Module):
    """Enlarges a coarse field to a feature map's size and adds a correction from the features.

    It adds nothing at the start.
    """

    def __init__(self, inputs: int, fields: int) -> None:
        """Args: channels of the feature map, channels of the field."""
        super().__init__()
        hidden = min(max(inputs, fields), WIDEST)
        self.first = nn.Conv2d(inputs + fields, hidden, 3, 1, 1)
        self.second = nn.Conv2d(hidden, fields, 3, 1, 1)
        for parameter in self.second.parameters():
            nn.init.zeros_(parameter)

    def forward(self, field: Tensor, features: Tensor) -> Tensor:
        """``(B, fields, h, w)`` and ``(B, inputs, H, W)`` to ``(B, fields, H, W)``."""
        field = functional.interpolate(
            field, features.shape[-2:], mode="bilinear", align_corners=False
        )
        hidden = functional.relu(self.first(torch.cat((field, features), dim=1)))
        return field + self.second(hidden)


class MotionField(nn.Module):
    """Residual translation of every point, on top of the camera's motion, from coarse to fine.

    Of each pair of neighbours one field lies at the earlier image's pixels and one at the
    later's, each to be added to a point after it was taken to the other image. It is zero at the
    start; each axis has a scale of its own, since things move less up and down.

    Args:
        channels: Channels of the pose network's feature maps, finest first.
        images: How many images it sees.
    """

    def __init__(self, channels: Sequence[int], images: int) -> None:
        super().__init__()
        self.pairs = images - 1
        self.fields = 6 * self.pairs
        inputs = (*reversed(channels), 3 * images)
        self.refinements = nn.ModuleList(Refinement(width, self.fields) for width in inputs)
        self.axis_scale = nn.Parameter(torch.full((3,), SCALE))

    def forward(self, features: list[Tensor], stack: Tensor) -> Tensor:
        """Fields at the images' size.

        Args:
            features: Feature maps of the pose network, finest first.
            stack: ``(B, 3 images, H, W)`` what the network saw.

        Returns:
            ``(B, pairs, 2, 3, H, W)`` metres.
        """
        field = stack.new_zeros(len(stack), self.fields, 1, 1)
        for refine, here in zip(self.refinements, (*reversed(features), stack), strict=True):
            field = refine(field, here)
        return field.unflatten(1, (self.pairs, 2, 3)) * self.axis_scale[:, None, None]
