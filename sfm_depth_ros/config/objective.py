# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of the training objective."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sfm_depth_ros.config.loading import check_options, option
from sfm_depth_ros.config.networks import IMAGENET, DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.errors import ConfigError


def _weight(default: float, doc: str) -> Any:
    return option(default, doc, minimum=0.0, maximum=100.0, dynamic=True)


@dataclass(frozen=True)
class ObjectiveConfig:
    """Weights and switches of the objective (defaults: PackNet-SfM with Monodepth2's masks).

    A term of weight 0 is not computed, nor what only it needs.
    """

    # How an image rebuilt from a source is compared with the real one.
    ssim_weight: float = option(
        0.85,
        "share of SSIM in the photometric error, the rest is the difference of colours",
        minimum=0.0,
        maximum=1.0,
    )
    ssim_window: int = option(3, "side in pixels of SSIM's window, odd", minimum=1, maximum=15)
    difference: str = option(
        "l1", "how the difference of colours is measured", choices=("l1", "charbonnier")
    )
    photometric_weight: float = _weight(1.0, "weight of the photometric error")
    scales: int = option(4, "how many of the finest scales are compared", minimum=1, maximum=8)
    # Which pixels of which source count.
    auto_mask: bool = option(True, "leave out pixels that the unwarped source explains better")
    reduction: str = option(
        "minimum", "how sources are joined per pixel", choices=("minimum", "mean")
    )
    principled_mask: bool = option(
        False, "leave out what the camera's motion has taken out of view (vid2depth)"
    )
    occlusion_mask: str = option(
        "off",
        "leave out what something else hides in the source: found "
        "by splatting the target's points into it, or where the source's "
        "own depth is nearer (Depth in the Wild)",
        choices=("off", "splat", "nearer"),
    )
    self_discovered_mask: bool = option(
        False, "weigh pixels by how well the depths of target and source agree (SC-SfMLearner)"
    )
    explainability_weight: float = _weight(
        0.0,
        "weight that keeps explainability masks near one (SfMLearner); needs pose.explainability",
    )
    warp_motion: str = option(
        "network",
        "motion by which sources are warped into the target: the pose network's, or the measured "
        "one where a snippet has it, the odometer's with the rotation that tracked corners show",
        choices=("network", "measured"),
    )
    fuse_flipped: bool = option(
        False,
        "depth is that of the image and of its mirror image, fused; training learns through both "
        "(SuperDepth)",
    )
    # What depth must be like by itself, and from one image to the next.
    smoothness_weight: float = option(
        1e-3,
        "weight of the edge-aware smoothness, halved at each coarser scale",
        minimum=0.0,
        maximum=10.0,
        dynamic=True,
    )
    smoothness_order: int = option(
        1,
        "which derivative of inverse depth is to be small: 1 likes "
        "walls that face the camera, 2 any plane",
        minimum=1,
        maximum=2,
    )
    consistency_weight: float = _weight(
        0.0,
        "weight of the relative difference between target's and sources' depths (SC-SfMLearner)",
    )
    icp_weight: float = _weight(
        0.0, "weight of the alignment of target's and sources' point clouds (vid2depth)"
    )
    sparse_depth_weight: float = _weight(
        0.0, "weight of measured depths where a bag has them (lidar, stereo)"
    )
    scale_invariant_weight: float = _weight(
        0.0, "weight of the scale-invariant error against measured depths (Mannequin)"
    )
    gradient_matching_weight: float = _weight(
        0.0, "weight of how depth's gradients differ from the measured ones' (Mannequin)"
    )
    teacher_weight: float = _weight(
        0.0,
        "weight of the difference to the disparity of training.teacher_model, without its gain "
        "and offset; in the last quarter of a training 9/19 of it (NimbleD: 1/9, then 1/19 of the "
        "photometric weight)",
    )
    # A second camera next to the first, with known baseline (Monodepth).
    stereo_weight: float = _weight(
        0.0, "weight of the photometric error of the right image warped into the target"
    )
    left_right_weight: float = _weight(
        0.0,
        "weight of the difference between the depths of the "
        "left and the right image, as disparities",
    )
    # Features beside colours (deep feature reconstruction).
    feature_weight: float = _weight(
        0.0, "weight of the difference of dense features, warped as the colours are"
    )
    features: str = option(
        "encoder",
        "whose features: the depth network's own encoder's, or those of a frozen ImageNet "
        "encoder (EfficientNet-Lite0, of an installed package)",
        choices=("encoder", "imagenet"),
    )
    # Motion by direct alignment through the predicted depth (DDVO).
    direct_alignment: str = option(
        "off",
        "camera motion is found by Gauss-Newton on the photometric error, which training learns "
        "through: alone = from no motion on, refine = from the pose network's motion on",
        choices=("off", "alone", "refine"),
    )
    alignment_weight: float = _weight(
        0.0, "weight by which the pose network follows the aligned motion; needs direct_alignment"
    )
    # Metric scale.
    velocity_weight: float = _weight(0.3, "weight of the velocity loss")
    velocity_kind: str = option(
        "length",
        "what is compared with the odometer: the length of the translation, or the vector",
        choices=("length", "vector"),
    )
    rotation_weight: float = _weight(
        0.0,
        "weight of the difference in radians between predicted "
        "and measured rotations; for odometers whose angular velocity "
        "can be trusted",
    )
    normalise_range: bool = option(
        False,
        "measure every scene in units of its own median depth, "
        "so that rooms count as much as roads (RealMonoDepth)",
    )
    # Things that move by themselves (Depth in the Wild, struct2depth).
    residual_sparsity_weight: float = _weight(
        0.0, "weight of how much moves by itself; needs pose.residual_translation"
    )
    residual_smoothness_weight: float = _weight(0.0, "weight of how unevenly it moves")
    cycle_weight: float = _weight(
        0.0,
        "weight of forward-backward motion consistency, each direction predicted apart",
    )
    use_instance_mask: bool = option(
        False,
        "things move by themselves only where the instance "
        "mask has one, each as a whole (struct2depth)",
    )
    # Optical flow, by a network that only training has.
    flow_weight: float = _weight(0.0, "weight of the photometric error of flow")
    flow_smoothness_weight: float = _weight(0.0, "weight of the edge-aware smoothness of flow")
    flow_consistency_weight: float = _weight(
        0.0, "weight of the round trip of flow, where it is consistent (GeoNet)"
    )
    flow_start: str = option(
        "nothing",
        "what the flow network adds to: nothing, or the flow of the static scene by depth and "
        "motion (GeoNet's residual flow)",
        choices=("nothing", "rigid"),
    )
    flow_check: str = option(
        "coverage",
        "where the photometric error of flow counts: where the source's own flow covers a pixel, "
        "or where the round trip ends near it: by the squared lengths (UnFlow), or adaptive, "
        "within max(3 px, 5 %) (GeoNet); flow that is not learnt yet returns nearly nowhere",
        choices=("coverage", "relative", "adaptive"),
    )
    cross_task_weight: float = _weight(
        0.0, "weight of the difference between the static scene's flow and free flow (DF-Net)"
    )
    moderation_weight: float = _weight(
        0.0,
        "weight by which a moderator's mask takes pixels for static (Competitive Collaboration)",
    )
    consensus_weight: float = _weight(
        0.0, "weight by which the mask follows what depth and flow find together"
    )
    supervised_weight: float = _weight(
        1.0, "weight of exact depth and motion where a batch has them (rendered worlds)"
    )

    @property
    def ties_to_metres(self) -> bool:
        """Whether it compares recorded snippets with something that is measured in metres."""
        weights = (self.velocity_weight, self.sparse_depth_weight, self.stereo_weight)
        return max(weights) > 0 or self.warp_motion == "measured"

    @property
    def uses_flow(self) -> bool:
        """Whether a term compares optical flow."""
        weights = (self.flow_weight, self.flow_smoothness_weight, self.flow_consistency_weight)
        return max(*weights, self.cross_task_weight) > 0 or self.uses_moderator

    @property
    def needs_companions(self) -> bool:
        """Whether it needs networks beside depth and pose."""
        return self.uses_flow or (self.feature_weight > 0 and self.features == IMAGENET)

    def without_companions(self) -> ObjectiveConfig:
        """The same without the terms that compare optical flow, its mask, or features."""
        names = ("feature", "flow", "flow_smoothness", "flow_consistency", "cross_task",
                 "moderation", "consensus")  # fmt: skip
        off: dict[str, Any] = {f"{name}_weight": 0.0 for name in names}
        return replace(self, **off)

    @property
    def uses_moderator(self) -> bool:
        """Whether a mask shares the pixels out between depth and flow."""
        return self.moderation_weight > 0 or self.consensus_weight > 0

    def __post_init__(self) -> None:
        check_options(self)
        if self.ssim_window % 2 == 0:
            raise ConfigError(f"expected an odd ssim_window, got {self.ssim_window}")


def check_features_fit(objective: ObjectiveConfig, depth: DepthNetworkConfig) -> None:
    """Refuse features of an encoder that the depth network does not have.

    Raises:
        ConfigError: It has none.
    """
    wants = objective.feature_weight > 0 and objective.features == "encoder"
    if wants and not depth.has_encoder:
        raise ConfigError(
            f"objective.features: encoder needs a depth network with one, got {depth.name!r}; "
            "choose imagenet, or small, resnet18, efficientnet_lite0 or lite_mono"
        )


def check_objective_fits(objective: ObjectiveConfig, pose: PoseNetworkConfig) -> None:
    """Refuse an objective whose inputs the pose network does not predict, and vice versa.

    Raises:
        ConfigError: One needs an output that the other does not have.
    """
    if pose.explainability != (objective.explainability_weight > 0):
        raise ConfigError(
            "expected pose.explainability and objective.explainability_weight > 0 together (a "
            f"mask that costs nothing explains nothing), got {pose.explainability} and "
            f"{objective.explainability_weight:g}"
        )
    if objective.alignment_weight > 0 and objective.direct_alignment == "off":
        raise ConfigError("objective.alignment_weight needs objective.direct_alignment")
    by_field = {
        "residual_sparsity_weight": objective.residual_sparsity_weight > 0,
        "residual_smoothness_weight": objective.residual_smoothness_weight > 0,
        "use_instance_mask": objective.use_instance_mask,
    }
    wanted = [name for name, is_on in by_field.items() if is_on]
    if wanted and not pose.residual_translation:
        raise ConfigError(f"objective.{wanted[0]} needs pose.residual_translation: true")
    if pose.residual_translation and not wanted:
        raise ConfigError(
            "pose.residual_translation needs a term that keeps it small: one of "
            f"{', '.join(f'objective.{name}' for name in by_field)}"
        )
