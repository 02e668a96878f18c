# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Base of the pose networks, which predict camera motion between images, and the smallest."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sfm_depth_ros.config.schema import PoseNetworkConfig
from sfm_depth_ros.networks.blocks import ConvBlock, normalised
from sfm_depth_ros.networks.pose_convention import in_network_order, to_neighbour_motions
from sfm_depth_ros.networks.pose_heads import ExplainabilityHead, IntrinsicsHead, MotionField

STAGES = (1, 2, 4, 6, 8, 8)  # channels after each halving, in units of config.width
OUTPUT_SCALE = 0.01  # of the raw output, as in SfMLearner and its descendants


@dataclass(frozen=True)
class PoseOutput:
    """Outputs of a pose network for a stack of ``images``; P = images - 1 neighbouring pairs."""

    # `(B, 6 P)`, [tx ty tz rx ry rz] of `T_earlier_later` of each pair in temporal order, at the
    # reference focal length
    motion: Tensor
    # Each `(B, P, 2, h, w)` in (0, 1), finest first: of each pair, at the pixels of its earlier
    # and of its later image. None where not configured.
    explainability: list[Tensor] | None = None
    # `(B, P, 2, 3, H, W)` metres at the reference focal length, at the same places: added to the
    # point after it was taken to the pair's other image
    residual_translation: Tensor | None = None
    intrinsics: Tensor | None = None  # `(B, 3, 3)` K in pixels of the image


class PoseNetwork(nn.Module):
    """Base of the pose networks: features, the motion and the optional heads that read them.

    ``log_scale`` multiplies every translation: metric scale is one number of its own.

    Args:
        config: Shape of the network.
        channels: Channels of each feature map, finest (half the image's size) first.
    """

    def __init__(self, config: PoseNetworkConfig, channels: Sequence[int]) -> None:
        super().__init__()
        self.config = config
        self.images = images = config.images
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.explainability = (
            ExplainabilityHead(channels, images - 1) if config.explainability else None
        )
        self.intrinsics = IntrinsicsHead(channels[-1]) if config.learn_intrinsics else None
        self.motion_field = MotionField(channels, images) if config.residual_translation else None

    @abstractmethod
    def encode(self, stack: Tensor) -> list[Tensor]:
        """``(B, 3 images, H, W)`` in the network's order to feature maps, each half the last."""

    @abstractmethod
    def read_motion(self, features: list[Tensor]) -> Tensor:
        """The network's own motion output, as its authors' code has it."""

    def raw(self, stack: Tensor) -> Tensor:
        """The network's own output, as its authors' code has it; see :meth:`forward`."""
        return self.read_motion(self.encode(self._in_order(stack)))

    def forward(self, stack: Tensor) -> Tensor:
        """Motion at the reference focal length.

        Args:
            stack: ``(B, 3 images, H, W)`` RGB in [0, 1] in temporal order.

        Returns:
            ``(B, 6 (images - 1))``: of each pair of neighbours in temporal order [tx ty tz rx ry
            rz] of ``T_earlier_later``, the pose of the later camera in the earlier one: metres
            and radians (axis-angle).
        """
        return self._to_motion(self.raw(stack))

    def observe(self, stack: Tensor) -> PoseOutput:
        """The motion and the configured extras; ``stack`` as in forward."""
        stack = self._in_order(stack)
        features = self.encode(stack)
        masks, field, K = self.explainability, self.motion_field, self.intrinsics
        return PoseOutput(
            motion=self._to_motion(self.read_motion(features)),
            explainability=masks(features) if masks else None,
            residual_translation=(
                field(features, stack) * torch.exp(self.log_scale) if field else None
            ),
            intrinsics=K(features[-1], *stack.shape[-2:]) if K else None,
        )

    def _in_order(self, stack: Tensor) -> Tensor:
        return in_network_order(stack, self.config.convention, self.images)

    def _to_motion(self, raw: Tensor) -> Tensor:
        pairs, scale = self.images - 1, torch.exp(self.log_scale)
        motion = to_neighbour_motions(raw, self.config.convention, pairs)
        parts = [motion[:, start : start + 3] for start in range(0, 6 * pairs, 3)]
        parts[::2] = [translation * scale for translation in parts[::2]]
        return torch.cat(parts, dim=1)


class SmallPoseNet(PoseNetwork):
    """Two images in temporal order to the motion between them."""

    def __init__(self, config: PoseNetworkConfig) -> None:
        """Build it from its shape."""
        channels = [6, *(config.width * stage for stage in STAGES)]
        super().__init__(config, channels[1:])
        kernels = (7, 5, 3, 3, 3, 3)
        self.features = nn.Sequential(
            *(
                ConvBlock(a, b, kernel=kernel, stride=2)
                for a, b, kernel in zip(channels, channels[1:], kernels, strict=False)
            )
        )
        self.head = nn.Conv2d(channels[-1], 6, 1)

    def encode(self, stack: Tensor) -> list[Tensor]:
        """Six feature maps, down to 1/64."""
        x, features = normalised(stack), []
        for block in self.features:
            x = block(x)
            features.append(x)
        return features

    def read_motion(self, features: list[Tensor]) -> Tensor:
        """Mean over places of a 1x1 convolution."""
        return self.head(features[-1]).mean(dim=(2, 3)) * OUTPUT_SCALE
