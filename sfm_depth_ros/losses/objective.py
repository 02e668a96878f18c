# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scale-aware self-supervised objective: a weighted sum of terms, each a function of a scene.

A new term is a function in one of the files named here, a line below, a field of ``LossTerms`` and
the weight of the same name in ``ObjectiveConfig``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.losses import depth_terms, motion_terms, reconstruction
from sfm_depth_ros.losses.inputs import Prediction
from sfm_depth_ros.losses.scene import Scene
from sfm_depth_ros.losses.terms import LossTerms, weight_of, weighted_sum
from sfm_depth_ros.snippets.batch import SnippetBatch

TERMS: dict[str, Callable[[Scene], Tensor | None]] = {
    "photometric": reconstruction.photometric,
    "smoothness": depth_terms.smoothness,
    "velocity": motion_terms.velocity,
    "rotation": motion_terms.rotation,
    "explainability": motion_terms.explainability,
    "consistency": depth_terms.consistency,
    "icp": depth_terms.icp,
    "sparse_depth": depth_terms.sparse_depth,
    "stereo": reconstruction.stereo,
    "left_right": depth_terms.left_right,
    "residual_sparsity": motion_terms.residual_sparsity,
    "residual_smoothness": motion_terms.residual_smoothness,
    "cycle": motion_terms.cycle,
}


def self_supervised_objective(
    observed: SnippetBatch,
    predicted: Prediction,
    config: ObjectiveConfig,
    only: Collection[str] = tuple(TERMS),
) -> LossTerms:
    """How badly depths and motions explain the images and the measured displacements.

    Args:
        observed: What was seen and measured.
        predicted: What the networks say of it.
        config: Weights and switches; a term of weight 0 is not computed.
        only: Names of the terms that may be computed.

    Returns:
        The named terms; those that the batch has no data for are left out.
    """
    scene = Scene(observed, predicted, config)
    wanted = [name for name in TERMS if name in only and weight_of(name, config) > 0]
    parts = {name: TERMS[name](scene) for name in wanted}
    known = {name: value for name, value in parts.items() if value is not None}
    return weighted_sum(known, predicted.T_source_target.new_zeros(()), config)


def needs_source_depths(config: ObjectiveConfig) -> bool:
    """Whether the sources' depths must be predicted too: it costs as much as the target's each."""
    by_terms = config.consistency_weight > 0 or config.icp_weight > 0
    return by_terms or config.self_discovered_mask or config.occlusion_mask == "nearer"
