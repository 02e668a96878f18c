# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the motion of the camera, and of things by themselves, must be like."""

from __future__ import annotations

from torch import Tensor

from sfm_depth_ros.losses import residual_motion
from sfm_depth_ros.losses.explainability import explainability_regulariser
from sfm_depth_ros.losses.scene import Scene
from sfm_depth_ros.losses.velocity import rotation_loss, velocity_loss, velocity_vector_loss


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
