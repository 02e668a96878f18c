# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Terms of the objective: functions of the reprojection context, each one scalar.

The photometric terms are in ``reprojection.py``; formulas and sources are with the functions
that these call, and in docs/objectives.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.geometry.depth import inverse_depth
from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.stereo import disparity_from_depth
from sfm_depth_ros.losses import residual_motion
from sfm_depth_ros.losses.affine_invariant import affine_invariant_loss
from sfm_depth_ros.losses.consistency import left_right_consistency
from sfm_depth_ros.losses.context import ReprojectionContext
from sfm_depth_ros.losses.icp import icp_loss
from sfm_depth_ros.losses.masked_mean import masked_mean
from sfm_depth_ros.losses.range_normalisation import median_depth, translation_normalised
from sfm_depth_ros.losses.relative_depth import gradient_matching_loss, scale_invariant_loss
from sfm_depth_ros.losses.reprojection import explainability_regulariser
from sfm_depth_ros.losses.smoothness import edge_aware_smoothness
from sfm_depth_ros.losses.supervised import motion_supervision, sparse_depth_loss
from sfm_depth_ros.losses.velocity import rotation_loss, velocity_loss, velocity_vector_loss


def smoothness(context: ReprojectionContext) -> Tensor:
    """Mean over scales of the edge-aware smoothness, halved at each coarser one."""
    images = _image_pyramid(context.observed.target, context.inverse_depths)
    return torch.stack(
        [
            edge_aware_smoothness(inverse, image, context.config.smoothness_order) / 2**scale
            for scale, (inverse, image) in enumerate(
                zip(context.inverse_depths, images, strict=True)
            )
        ]
    ).mean()


def consistency(context: ReprojectionContext) -> Tensor | None:
    """Mean relative difference between the depths of target and sources (SC-SfMLearner)."""
    if context.disagreement is None:
        return None
    return masked_mean(*context.disagreement)


def icp(context: ReprojectionContext) -> Tensor | None:
    """Misalignment of the point clouds of target and sources (vid2depth), of motion and depth.

    Lengths are in units of the target's median depth: in metres, clouds of a depth that is still
    flat would hold the camera still against the velocity. Every second row and column of the
    target is enough.
    """
    source_depths, K = context.predicted.source_depths, context.observed.K
    if source_depths is None:
        return None
    unit = median_depth(context.full_size(0))
    clouds = [backproject(depth, K) / unit for depth in source_depths.unbind(1)]
    of_motion, of_depth = icp_loss(
        context.points(0)[..., ::2, ::2] / unit,
        torch.stack(clouds, dim=1),
        translation_normalised(context.predicted.T_source_target, unit),
        K,
    )
    return of_motion + of_depth


def left_right(context: ReprojectionContext) -> Tensor | None:
    """Left-right disparity consistency, as a share of the width (Monodepth).

    Disparities are those of the known baseline; mirrored pairs have negative ones.
    """
    right_depth, T_right_target = context.predicted.right_depth, context.observed.T_right_target
    if right_depth is None or T_right_target is None:
        return None
    baseline = -T_right_target[:, 0, 3]  # the right camera lies at +x in the target's frame
    known, focal = baseline.isfinite(), context.observed.K[:, 0, 0]
    baseline = baseline.masked_fill(~known, 0)
    left, right = (
        disparity_from_depth(depth, focal, baseline)
        for depth in (context.full_size(0), right_depth)
    )
    return left_right_consistency(left, right, known)


def sparse_depth(context: ReprojectionContext) -> Tensor | None:
    """Log-depth error of the finest scale against measured depths."""
    measured = context.observed.sparse_depth
    return None if measured is None else sparse_depth_loss(context.full_size(0), measured)


def scale_invariant(context: ReprojectionContext) -> Tensor | None:
    """Scale-invariant error of the finest depth against measured depth."""
    measured = context.observed.sparse_depth
    return None if measured is None else scale_invariant_loss(context.full_size(0), measured)


def gradient_matching(context: ReprojectionContext) -> Tensor | None:
    """Difference of depth's gradients, as logarithms, from those of measured depth."""
    measured = context.observed.sparse_depth
    return None if measured is None else gradient_matching_loss(context.full_size(0), measured)


def teacher(context: ReprojectionContext) -> Tensor | None:
    """Disparity of the finest scale against a larger network's, without gain and offset."""
    disparity = context.observed.teacher_disparity
    if disparity is None:
        return None
    return affine_invariant_loss(inverse_depth(context.full_size(0)), disparity)


@torch.no_grad()
def _image_pyramid(image: Tensor, levels: Sequence[Tensor]) -> Iterator[Tensor]:
    """The image area-averaged to each level's size, each from the one before."""
    for level in levels:
        size = (level.shape[-2], level.shape[-1])
        if image.shape[-2:] != size:
            image = functional.interpolate(image, size, mode="area")
        yield image


def velocity(context: ReprojectionContext) -> Tensor:
    """Difference between predicted and measured translation, in metres: it sets metric scale.

    As vectors where the configuration wants it and the snippets have them; rendered snippets,
    whose whole motion supervises, have lengths alone.
    """
    observed, T = context.observed, context.predicted.T_source_target
    if context.config.velocity_kind == "vector" and observed.T_measured is not None:
        return velocity_vector_loss(T, observed.T_measured)
    return velocity_loss(T[..., :3, 3], observed.displacements)


def rotation(context: ReprojectionContext) -> Tensor | None:
    """Difference between predicted and measured rotation."""
    measured = context.observed.T_measured
    return None if measured is None else rotation_loss(context.predicted.T_source_target, measured)


def alignment(context: ReprojectionContext) -> Tensor | None:
    """Error of the pose network's motions against the aligned ones, which it is to follow."""
    predicted = context.predicted
    if predicted.T_unaligned is None:
        return None
    return motion_supervision(predicted.T_unaligned, predicted.T_source_target.detach())


def explainability(context: ReprojectionContext) -> Tensor | None:
    """Explainability regulariser (SfMLearner)."""
    masks = context.predicted.explainability
    return None if masks is None else explainability_regulariser(masks)


def residual_sparsity(context: ReprojectionContext) -> Tensor | None:
    """Sparsity of the residual motion field."""
    field = context.predicted.residual_translation
    return None if field is None else residual_motion.residual_sparsity(field)


def residual_smoothness(context: ReprojectionContext) -> Tensor | None:
    """Smoothness of the residual motion field."""
    field = context.predicted.residual_translation
    return None if field is None else residual_motion.residual_smoothness(field)


def cycle(context: ReprojectionContext) -> Tensor | None:
    """Forward-backward motion consistency, both directions predicted independently.

    Points that fall outside the source, or behind its camera, do not count.
    """
    T_back = context.predicted.T_target_source
    if T_back is None:
        return None
    valid = context.warped(0).valid[:, :, 0]
    rotation, translation = residual_motion.motion_cycle(
        context.predicted.T_source_target,
        context.residual,
        T_back,
        context.sampled_residual_reverse,
        valid,
    )
    return rotation + translation
