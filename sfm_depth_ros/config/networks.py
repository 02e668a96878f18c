# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The networks and their shapes."""

from __future__ import annotations

from dataclasses import dataclass

from sfm_depth_ros.config.loading import check_options, option
from sfm_depth_ros.errors import ConfigError

DEPTH_NETWORKS = (
    "small",
    "packnet01",
    "packnet_slim01",
    "resnet18",
    "resnet34",
    "resnet50",
    "dispnet",
    "dispnet_monodepth",
    "efficientnet_lite0",
    "lite_mono",
    "lite_mono_small",
    "lite_mono_tiny",
    "lite_mono_8m",
    "depth_anything_v2_small",
    "depth_anything_v2_base",
    "depth_anything_v2_large",
)
POSE_NETWORKS = (
    "small",
    "posenet",
    "pose_expnet",
    "pose_resnet18",
    "pose_resnet34",
    "pose_resnet50",
)
METRIC, INVERSE_AFFINE, DEPTH_AFFINE = "metric", "inverse-affine", "depth-affine"
IMAGENET = "imagenet"  # value of ``pretrained``: the weights of an installed package
DEPTH_ANYTHING = "depth_anything_v2"  # how the names of its sizes begin
OWN, SUBPIXEL = "own", "subpixel"  # values of ``decoder``
WITH_ENCODER = ("small", "resnet", "efficientnet", "lite_mono", "timm:")  # how names begin
CONVOLUTIONAL, PATCH = 32, 14  # multiples of the image sizes that networks take
ONNX = "onnx"  # name of a depth network that is the user's own graph: it runs, nothing else
TIMM = "timm:"  # an encoder of the package timm by its name there, timm:resnet26


def size_multiple(width: int) -> int:
    """Multiple of the image sizes in training, by the width: a transformer's where 32 is not."""
    return CONVOLUTIONAL if width % CONVOLUTIONAL == 0 else PATCH


@dataclass(frozen=True)
class DepthNetworkConfig:
    """Shape of a depth network; written into every model folder."""

    name: str = option(
        "small",
        f"depth network: {', '.join(DEPTH_NETWORKS)}, or {TIMM}NAME for "
        "an encoder of the package timm",
    )
    width: int = option(
        16,
        "channels of the first stage of small and of the finest one of efficientnet_lite0's "
        "decoder; the others are multiples of it",
        minimum=8,
        maximum=64,
    )
    skip_fusion: str = option(
        "concatenate",
        "how PackNet joins encoder and decoder: its version 1A concatenates, 1B adds",
        choices=("concatenate", "add"),
    )
    min_depth: float = option(
        0.1,
        "nearest depth the network can predict, metres at the reference "
        "focal length (PackNet's authors: 0.5)",
        minimum=0.01,
        maximum=10.0,
    )
    max_depth: float = option(
        120.0,
        "farthest depth the network can predict, metres at the "
        "reference focal length; PackNet has no such bound",
        minimum=1.0,
        maximum=1000.0,
    )
    reference_focal: float = option(
        200.0,
        "focal length in pixels of the network's image at which its output is metres",
        minimum=10.0,
        maximum=5000.0,
    )
    decoder: str = option(
        OWN,
        "decoder behind the encoder: the network's own, or one that enlarges by sub-pixel "
        "convolutions (SuperDepth), for small, resnet*, efficientnet_lite0, lite_mono* and "
        f"{TIMM}*",
        choices=(OWN, SUBPIXEL),
    )
    head: str = option(
        METRIC,
        "what the output of a depth_anything_v2 network or of an imported graph is: metres, or "
        "inverse depth or depth up to a gain and an offset, fitted where the robot drives",
        choices=(METRIC, INVERSE_AFFINE, DEPTH_AFFINE),
    )
    focal_rule: str = option(
        "scale",
        "how an imported graph's depth follows the camera: it grows with the focal length, or "
        "not at all (none)",
        choices=("scale", "none"),
    )
    wide_dilations: bool = option(
        False, "whether Lite-Mono has the dilations of its authors' training at 1024x320"
    )
    pretrained: str = option(
        "",
        "file (.pth or .safetensors) with ImageNet weights for the encoder of a ResNet; "
        f"{IMAGENET} = those of the installed package, for efficientnet_lite0; empty = from "
        "scratch",
    )

    @property
    def has_encoder(self) -> bool:
        """Whether the network is an encoder, whose features others may use, and a decoder."""
        return self.name.startswith(WITH_ENCODER)

    @property
    def has_published_encoder(self) -> bool:
        """Whether its encoder comes with weights that saw more than a robot ever will."""
        return self.name.startswith((*WITH_ENCODER, DEPTH_ANYTHING)) and self.name != "small"

    @property
    def multiple(self) -> int:
        """Divisor of height and width of the network's image."""
        if self.name == ONNX:
            return 1  # its size is fixed
        return PATCH if self.name.startswith(DEPTH_ANYTHING) else CONVOLUTIONAL

    def __post_init__(self) -> None:
        check_options(self)
        if self.name not in (*DEPTH_NETWORKS, ONNX) and not self.name.startswith(TIMM):
            raise ConfigError(
                f"name: expected one of {', '.join(DEPTH_NETWORKS)} or {TIMM}NAME, "
                f"got {self.name!r}"
            )
        if self.min_depth >= self.max_depth:
            raise ConfigError(
                f"expected min_depth < max_depth, got {self.min_depth} >= {self.max_depth}"
            )
        if self.pretrained and not self.name.startswith(("resnet", "efficientnet")):
            raise ConfigError(
                f"pretrained: weights can be given to resnet18, resnet34, resnet50 and "
                f"efficientnet_lite0 alone, got {self.name!r}; leave it empty"
            )
        if self.decoder == SUBPIXEL and not self.has_encoder:
            raise ConfigError(
                f"decoder: {self.name!r} has no encoder of its own that a sub-pixel decoder could "
                f"follow; choose small, resnet18, efficientnet_lite0, lite_mono or {TIMM}NAME"
            )
        is_relative = self.name == ONNX or (
            self.name.startswith(DEPTH_ANYTHING) and self.head == INVERSE_AFFINE
        )
        if self.head != METRIC and not is_relative:
            raise ConfigError(f"head: {self.name!r} is metric, got {self.head!r}; leave it out")
        if self.focal_rule != "scale" and self.name != ONNX:
            raise ConfigError(f"focal_rule: {self.name!r} scales, got {self.focal_rule!r}")


@dataclass(frozen=True)
class PoseNetworkConfig:
    """Shape of a pose network; written into every model folder."""

    name: str = option(
        "small",
        "pose network: posenet is PackNet-SfM's, pose_expnet "
        "SfMLearner's (both see three images), pose_resnet* Monodepth2's",
        choices=POSE_NETWORKS,
    )
    width: int = option(16, "channels of the first stage of small", minimum=8, maximum=64)
    reference_focal: float = option(
        200.0,
        "focal length in pixels at which the output is metres and radians",
        minimum=10.0,
        maximum=5000.0,
    )
    convention: str = option(
        "native",
        "what the weights mean inside, for imported ones: order of "
        "the images, direction and kind of the motion; the output is always "
        "the same",
        choices=("native", "packnet_sfm", "monodepth2"),
    )
    explainability: bool = option(
        False,
        "whether it also predicts which pixels the camera's motion explains (SfMLearner)",
    )
    learn_intrinsics: bool = option(
        False, "whether it also predicts the camera's intrinsics (Depth from Videos in the Wild)"
    )
    residual_translation: bool = option(
        False,
        "whether it also predicts how every pixel's point "
        "moves by itself (Depth from Videos in the Wild)",
    )
    pretrained: str = option(
        "",
        "file (.pth or .safetensors) with ImageNet weights for the "
        "encoder of a ResNet; empty = from scratch",
    )

    def __post_init__(self) -> None:
        check_options(self)
        is_resnet = self.name.startswith("pose_resnet")
        fitting = {"monodepth2": is_resnet, "packnet_sfm": is_resnet or self.name == "posenet"}
        if not fitting.get(self.convention, True):
            raise ConfigError(
                f"convention: {self.convention} has no network {self.name!r}; expected native"
            )
        if self.pretrained and not is_resnet:
            raise ConfigError(
                f"pretrained: weights can be given to pose_resnet18, pose_resnet34 "
                f"and pose_resnet50 alone, got {self.name!r}; leave it empty"
            )

    @property
    def multiple(self) -> int:
        """Divisor of height and width of the network's images."""
        return 32

    @property
    def images(self) -> int:
        """Number of images in temporal order that the network takes: 2 or 3."""
        return 3 if self.name in ("posenet", "pose_expnet") else 2

    @property
    def has_extras(self) -> bool:
        """Whether it predicts more than the motion."""
        return self.explainability or self.learn_intrinsics or self.residual_translation
