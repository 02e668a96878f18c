# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Factories of depth networks, pose networks and encoders by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor, nn

from sfm_depth_ros.config.networks import ONNX, SUBPIXEL
from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.networks.depth_anything import DepthAnythingV2
from sfm_depth_ros.networks.dispnet import DispNet
from sfm_depth_ros.networks.encoded_depth import (
    resnet_depth_net,
    resnet_encoder,
    timm_depth_net,
    timm_encoder,
)
from sfm_depth_ros.networks.light_depth import efficientnet_depth_net, efficientnet_encoder
from sfm_depth_ros.networks.lite_mono import SHAPES, LiteMono, lite_mono_encoder
from sfm_depth_ros.networks.packnet import PackNet
from sfm_depth_ros.networks.pose import PoseOutput, SmallPoseNet
from sfm_depth_ros.networks.posenet import PackNetPoseNet, PoseExpNet, PoseResNet
from sfm_depth_ros.networks.small import STAGES, Encoder, SmallDepthNet
from sfm_depth_ros.networks.subpixel import SubPixelDepthNet

DEPTH_NETWORKS: dict[str, Callable[[DepthNetworkConfig], nn.Module]] = {
    "small": SmallDepthNet,
    "packnet01": PackNet,
    "packnet_slim01": PackNet,
    "resnet18": resnet_depth_net,
    "resnet34": resnet_depth_net,
    "resnet50": resnet_depth_net,
    "dispnet": DispNet,
    "dispnet_monodepth": DispNet,
    "efficientnet_lite0": efficientnet_depth_net,
    "lite_mono": LiteMono,
    "lite_mono_small": LiteMono,
    "lite_mono_tiny": LiteMono,
    "lite_mono_8m": LiteMono,
    "depth_anything_v2_small": DepthAnythingV2,
    "depth_anything_v2_base": DepthAnythingV2,
    "depth_anything_v2_large": DepthAnythingV2,
}
POSE_NETWORKS: dict[str, Callable[[PoseNetworkConfig], nn.Module]] = {
    "small": SmallPoseNet,
    "posenet": PackNetPoseNet,
    "pose_expnet": PoseExpNet,
    "pose_resnet18": PoseResNet,
    "pose_resnet34": PoseResNet,
    "pose_resnet50": PoseResNet,
}


class DepthNet(Protocol):
    """A depth network: ``(B, 3, H, W)`` RGB in [0, 1] to depth at the reference focal length.

    H and W are multiples of 32. The parameter ``log_scale`` multiplies every depth.
    """

    config: DepthNetworkConfig
    log_scale: nn.Parameter

    def __call__(self, image: Tensor) -> list[Tensor]:
        """Depths at all scales, finest ``(B, 1, H, W)`` first."""
        ...

    def depth(self, image: Tensor) -> Tensor:
        """The finest depth alone, ``(B, 1, H, W)``."""
        ...


class PoseNet(Protocol):
    """A pose network: ``images`` images in temporal order to the motions between neighbours."""

    config: PoseNetworkConfig
    images: int  # 2 or 3

    def __call__(self, stack: Tensor) -> Tensor:
        """``(B, 3 images, H, W)`` to ``(B, 6 (images - 1))``, [tx ty tz rx ry rz] each.

        Motions ``T_earlier_later`` in temporal order, axis-angle, at the reference focal length.
        """
        ...

    def raw(self, stack: Tensor) -> Tensor:
        """The network's own output, as its authors' code has it."""
        ...

    def observe(self, stack: Tensor) -> PoseOutput:
        """The motion and the extras of the configuration."""
        ...


def create_depth_network(config: DepthNetworkConfig) -> nn.Module:
    """Build the depth network that ``config.name`` names, with fresh weights.

    Raises:
        ModelError: ``config.pretrained`` cannot be read or is of another encoder.
        MissingDependencyError: timm cannot be imported for its encoder.
        ConfigError: timm does not know the encoder, or it does not fit.
    """
    if config.name == ONNX:
        raise ModelError(
            "this depth network is an imported ONNX graph: it runs and is scaled, but torch "
            "cannot run or train it; choose another engine, or another model to train"
        )
    if config.decoder == SUBPIXEL:
        return SubPixelDepthNet(config, *create_encoder(config))
    return DEPTH_NETWORKS.get(config.name, timm_depth_net)(config)


def create_pose_network(config: PoseNetworkConfig) -> nn.Module:
    """Build the pose network that ``config.name`` names, with fresh weights.

    Raises:
        ModelError: ``config.pretrained`` cannot be read or is of another encoder.
    """
    return POSE_NETWORKS[config.name](config)


def create_encoder(config: DepthNetworkConfig) -> tuple[nn.Module, list[int]]:
    """A depth network's encoder, for decoders other than its own.

    Args:
        config: Shape of the depth network whose encoder it is.

    Returns:
        The encoder, image to feature maps, finest first, with fresh or ImageNet weights; and the
        maps' channels from 1/2 of the image's size on, 0 for a size that it lacks.

    Raises:
        ModelError: ``config.pretrained`` cannot be read or is of another encoder.
        MissingDependencyError: A package that it needs is not installed.
        ConfigError: The network has no encoder of its own.
    """
    if config.name == "small":
        channels = [config.width * stage for stage in STAGES]
        return Encoder(channels), channels
    if config.name.startswith("lite_mono"):
        return lite_mono_encoder(config), [0, *SHAPES[config.name].channels]
    if config.name.startswith("efficientnet"):
        light = efficientnet_encoder(config)
        return light, list(light.channels)
    create = resnet_encoder if config.name.startswith("resnet") else timm_encoder
    encoder = create(config)
    return encoder, list(encoder.channels)
