# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Terms of the objective: each a function of the reprojection context, in one number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.stereo import disparity_from_depth
from sfm_depth_ros.losses import residual_motion
from sfm_depth_ros.losses.consistency import left_right_consistency
from sfm_depth_ros.losses.context import Scene
from sfm_depth_ros.losses.icp import icp_loss
from sfm_depth_ros.losses.masked_mean import masked_mean
from sfm_depth_ros.losses.reprojection import explainability_regulariser
from sfm_depth_ros.losses.smoothness import edge_aware_smoothness
from sfm_depth_ros.losses.supervised import sparse_depth_loss
from sfm_depth_ros.losses.velocity import rotation_loss, velocity_loss, velocity_vector_loss


def smoothness(scene: Scene) -> Tensor:
    """Mean over scales of the edge-aware smoothness, halved at each coarser one."""
    images = _image_pyramid(scene.observed.target, scene.inverse_depths)
    return torch.stack(
        [
            edge_aware_smoothness(inverse, image, scene.config.smoothness_order) / 2**scale
            for scale, (inverse, image) in enumerate(
                zip(scene.inverse_depths, images, strict=True)
            )
        ]
    ).mean()


def consistency(scene: Scene) -> Tensor | None:
    """Mean relative difference between the depths of target and sources (SC-SfMLearner)."""
    if scene.disagreement is None:
        return None
    return masked_mean(*scene.disagreement)


def icp(scene: Scene) -> Tensor | None:
    """How badly the clouds of target and sources align (vid2depth): motion's part and depth's.

    Every second row and column of the target is aligned: a quarter of the points says the same.
    """
    source_depths, K = scene.predicted.source_depths, scene.observed.K
    if source_depths is None:
        return None
    clouds = [backproject(depth, K) for depth in source_depths.unbind(1)]
    of_motion, of_depth = icp_loss(
        scene.points(0)[..., ::2, ::2],
        torch.stack(clouds, dim=1),
        scene.predicted.T_source_target,
        K,
    )
    return of_motion + of_depth


def left_right(scene: Scene) -> Tensor | None:
    """How unlike the disparities of left and right image are, as shares of the width (Monodepth).

    Disparities are those of the known baseline; mirrored pairs have negative ones.
    """
    right_depth, T_right_target = scene.predicted.right_depth, scene.observed.T_right_target
    if right_depth is None or T_right_target is None:
        return None
    baseline = -T_right_target[:, 0, 3]  # the right camera lies at +x in the target's frame
    known, focal = baseline.isfinite(), scene.observed.K[:, 0, 0]
    baseline = baseline.masked_fill(~known, 0)
    left, right = (
        disparity_from_depth(depth, focal, baseline) for depth in (scene.full_size(0), right_depth)
    )
    return left_right_consistency(left, right, known)


def sparse_depth(scene: Scene) -> Tensor | None:
    """What measured depths say of the finest scale, where a batch has them."""
    measured = scene.observed.sparse_depth
    return None if measured is None else sparse_depth_loss(scene.full_size(0), measured)


@torch.no_grad()
def _image_pyramid(image: Tensor, levels: Sequence[Tensor]) -> Iterator[Tensor]:
    """The image area-averaged to each level's size, each from the one before."""
    for level in levels:
        size = (level.shape[-2], level.shape[-1])
        if image.shape[-2:] != size:
            image = functional.interpolate(image, size, mode="area")
        yield image


def velocity(scene: Scene) -> Tensor:
    """Difference between predicted and measured ways: where metric scale comes from.

    As vectors where the configuration says so and the snippets have them (rendered ones, whose
    whole motion supervises, have lengths alone).
    """
    observed, T = scene.observed, scene.predicted.T_source_target
    if scene.config.velocity_kind == "vector" and observed.T_measured is not None:
        return velocity_vector_loss(T, observed.T_measured)
    return velocity_loss(T[..., :3, 3], observed.displacements)


def rotation(scene: Scene) -> Tensor | None:
    """Difference between predicted and measured turns."""
    measured = scene.observed.T_measured
    return None if measured is None else rotation_loss(scene.predicted.T_source_target, measured)


def explainability(scene: Scene) -> Tensor | None:
    """What it costs to explain less than all (SfMLearner)."""
    masks = scene.predicted.explainability
    return None if masks is None else explainability_regulariser(masks)


def residual_sparsity(scene: Scene) -> Tensor | None:
    """What it costs that something moves by itself."""
    field = scene.predicted.residual_translation
    return None if field is None else residual_motion.residual_sparsity(field)


def residual_smoothness(scene: Scene) -> Tensor | None:
    """What it costs that neighbouring pixels move differently."""
    field = scene.predicted.residual_translation
    return None if field is None else residual_motion.residual_smoothness(field)


def cycle(scene: Scene) -> Tensor | None:
    """How far from where it began the way to a source and back ends; each has its own prediction.

    Points that fall outside the source, or behind its camera, have no way back and do not count.
    """
    T_back = scene.predicted.T_target_source
    if T_back is None:
        return None
    valid = scene.warped(0).valid[:, :, 0]
    rotation, translation = residual_motion.motion_cycle(
        scene.predicted.T_source_target,
        scene.residual,
        T_back,
        scene.sampled_residual_reverse,
        valid,
    )
    return rotation + translation
