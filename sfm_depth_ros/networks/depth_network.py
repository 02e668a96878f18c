# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Base of the depth networks: from an image to depths at several scales."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.errors import ConfigError, DataError
from sfm_depth_ros.geometry.depth import disparity_to_depth


class DepthNetwork(nn.Module):
    """Image to depth at the reference focal length.

    A subclass computes raw outputs, :meth:`to_depth` brings them to metres. ``log_scale``
    multiplies every depth: metric scale is one number of its own, which training can move quickly
    without bending the shape.

    Args:
        config: Shape of the network and its range of depths.
    """

    multiple = 32  # of the image's height and width
    smallest_side = 32  # pixels

    def __init__(self, config: DepthNetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.log_scale = nn.Parameter(torch.zeros(()))

    @abstractmethod
    def outputs(self, image: Tensor) -> list[Tensor]:
        """Raw outputs at all scales, finest first.

        Args:
            image: ``(B, 3, H, W)`` RGB in [0, 1] of a size that fits.

        Returns:
            ``(B, 1, H, W)`` and coarser ones, as :meth:`to_depth` takes them: here disparities
            in [0, 1].
        """

    def finest(self, image: Tensor) -> Tensor:
        """The finest raw output alone, ``(B, 1, H, W)``; cheaper where a subclass knows how."""
        return self.outputs(image)[0]

    def to_depth(self, output: Tensor) -> Tensor:
        """Depth in metres at the reference focal length of a raw output of any scale.

        Inverse depth is linear in the disparity between ``1 / max_depth`` and ``1 / min_depth``
        (Monodepth2). Another kind of head overrides this. One whose output ``d`` is inverse depth
        up to an affine map (MiDaS and its descendants) has a second parameter, ``shift``, and
        returns ``exp(log_scale) / (d + shift)``, which is ``1 / (A d + B)`` with
        ``A = exp(-log_scale)`` and ``B = A shift``: ``log_scale`` keeps its meaning.
        """
        config = self.config
        depth = disparity_to_depth(output, config.min_depth, config.max_depth)
        return depth * torch.exp(self.log_scale)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Depth at all scales.

        Args:
            image: ``(B, 3, H, W)`` RGB in [0, 1]; H and W are multiples of ``multiple`` and at
                least ``smallest_side``.

        Returns:
            Depths in metres at the reference focal length, finest ``(B, 1, H, W)`` first.

        Raises:
            DataError: The image's size does not fit.
        """
        check_image_size(image, self.multiple, self.smallest_side)
        return [self.to_depth(output) for output in self.outputs(image)]

    def depth(self, image: Tensor) -> Tensor:
        """The finest depth alone: ``(B, 3, H, W)`` to ``(B, 1, H, W)``; as :meth:`forward`."""
        check_image_size(image, self.multiple, self.smallest_side)
        return self.to_depth(self.finest(image))


def check_image_size(image: Tensor, multiple: int = 32, minimum: int = 32) -> None:
    """Refuse an image that the network's halvings do not divide.

    While a graph is traced or exported its sizes are symbols, and nothing is checked.

    Args:
        image: ``(B, C, H, W)``.
        multiple: What height and width must be multiples of.
        minimum: Smallest height and width.

    Raises:
        DataError: The size does not fit; the message names one that does.
    """
    height, width = image.shape[-2], image.shape[-1]
    if not isinstance(height, int) or not isinstance(width, int):
        return
    near = [max(minimum, round(side / multiple) * multiple) for side in (width, height)]
    if near != [width, height]:
        raise DataError(
            f"this network takes images of at least {minimum}x{minimum} whose sides "
            f"are multiples of {multiple}, got {width}x{height}; resize them to "
            f"{near[0]}x{near[1]}"
        )


START_DEPTH = 5.0  # metres at the reference focal length


@torch.no_grad()
def start_at_depth(network: nn.Module, config: DepthNetworkConfig, depth: float) -> None:
    """Set the offsets of a fresh network's heads so that it predicts about ``depth`` everywhere.

    Args:
        network: Depth network whose heads lie in a list named ``heads``.
        config: Its shape.
        depth: Metres at the reference focal length, clipped to the range of the network.
    """
    depth = min(max(depth, 1.1 * config.min_depth), 0.9 * config.max_depth)
    near, far = 1.0 / config.min_depth, 1.0 / config.max_depth
    disparity = (1.0 / depth - far) / (near - far)
    logit = math.log(disparity / (1.0 - disparity))
    offsets = [
        part.bias for name, module in network.named_modules() if name.rpartition(".")[2] == "heads"
        for part in module.modules() if isinstance(part, nn.Conv2d) and part.bias is not None
    ]  # fmt: skip
    if not offsets:
        raise ConfigError(f"expected a depth network with heads, got {config.name}")
    for offset in offsets:
        nn.init.constant_(offset, logit)
