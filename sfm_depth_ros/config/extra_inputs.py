# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs of an objective besides the camera and the odometer."""

from __future__ import annotations

from sfm_depth_ros.config.objective import ObjectiveConfig

RIGHT_IMAGE, SPARSE_DEPTH, INSTANCE_MASK = "right_image", "sparse_depth", "instance_mask"


def extra_inputs(objective: ObjectiveConfig) -> tuple[str, ...]:
    """Roles of the inputs that the objective has a use for; others need not be read at all.

    Args:
        objective: Weights and switches.

    Returns:
        Some of ``right_image``, ``sparse_depth``, ``instance_mask``.
    """
    of_still_scenes = objective.scale_invariant_weight + objective.gradient_matching_weight > 0
    is_used = {
        RIGHT_IMAGE: objective.stereo_weight > 0 or objective.left_right_weight > 0,
        SPARSE_DEPTH: objective.sparse_depth_weight > 0 or of_still_scenes,
        # what moves by itself gets no label from other moments
        INSTANCE_MASK: objective.use_instance_mask or of_still_scenes,
    }
    return tuple(role for role, used in is_used.items() if used)
