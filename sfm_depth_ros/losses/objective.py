# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The self-supervised objective: a weighted sum of terms, each a function of the context.

A new term is a function in ``terms.py`` or ``reprojection.py``, a line below, a field of
``LossTerms`` and the weight of the same name in ``ObjectiveConfig``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.losses import flow, moderation, reprojection, terms
from sfm_depth_ros.losses.context import ReprojectionContext
from sfm_depth_ros.losses.feature_reconstruction import feature_reconstruction
from sfm_depth_ros.losses.inputs import Prediction
from sfm_depth_ros.snippets.batch import SnippetBatch


@dataclass(frozen=True)
class LossTerms:
    """Terms of the objective, unweighted scalars, and the weighted sum that is minimised.

    None is a term of weight 0, or one for which a batch has no data.
    """

    total: Tensor
    photometric: Tensor | None = None
    smoothness: Tensor | None = None
    velocity: Tensor | None = None  # Metres
    rotation: Tensor | None = None  # Radians
    depth_supervision: Tensor | None = None
    motion_supervision: Tensor | None = None
    explainability: Tensor | None = None
    consistency: Tensor | None = None
    stereo: Tensor | None = None
    left_right: Tensor | None = None
    icp: Tensor | None = None
    sparse_depth: Tensor | None = None
    teacher: Tensor | None = None
    residual_sparsity: Tensor | None = None  # Metres
    residual_smoothness: Tensor | None = None  # Metres per pixel
    cycle: Tensor | None = None
    feature: Tensor | None = None
    alignment: Tensor | None = None
    scale_invariant: Tensor | None = None
    gradient_matching: Tensor | None = None
    flow: Tensor | None = None
    flow_smoothness: Tensor | None = None  # Per cent of the width per pixel
    flow_consistency: Tensor | None = None  # Per cent of the width
    cross_task: Tensor | None = None  # Per cent of the width
    moderation: Tensor | None = None
    consensus: Tensor | None = None

    def as_floats(self) -> dict[str, float]:
        """Every known term as a number, for logs and diagnostics."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: float(v.detach()) for name, v in values.items() if v is not None}

    def with_supervision(self, parts: Mapping[str, Tensor], weight: float) -> LossTerms:
        """The same terms with supervised ones added to the total."""
        total = self.total
        for value in parts.values():
            total = total + weight * value
        return dataclasses.replace(self, total=total, **parts)


def weight_of(part: str, config: ObjectiveConfig) -> float:
    """Weight of a term: the field of its name."""
    weight: float = getattr(config, f"{part}_weight")
    return weight


def weighted_sum(parts: Mapping[str, Tensor], zero: Tensor, config: ObjectiveConfig) -> LossTerms:
    """Terms with their sum, each times the configuration's weight of its name.

    Args:
        parts: Scalars by the name of the field of :class:`LossTerms`.
        zero: A zero to begin the sum with.
        config: The weights.
    """
    total = zero
    for name, value in parts.items():
        total = total + weight_of(name, config) * value
    return LossTerms(total=total, **parts)


TERMS: dict[str, Callable[[ReprojectionContext], Tensor | None]] = {
    "photometric": reprojection.photometric,
    "smoothness": terms.smoothness,
    "velocity": terms.velocity,
    "rotation": terms.rotation,
    "explainability": terms.explainability,
    "consistency": terms.consistency,
    "icp": terms.icp,
    "sparse_depth": terms.sparse_depth,
    "teacher": terms.teacher,
    "stereo": reprojection.stereo,
    "left_right": terms.left_right,
    "residual_sparsity": terms.residual_sparsity,
    "residual_smoothness": terms.residual_smoothness,
    "cycle": terms.cycle,
    "feature": feature_reconstruction,
    "alignment": terms.alignment,
    "scale_invariant": terms.scale_invariant,
    "gradient_matching": terms.gradient_matching,
    "flow": flow.flow,
    "flow_smoothness": flow.flow_smoothness,
    "flow_consistency": flow.flow_consistency,
    "cross_task": flow.cross_task,
    "moderation": moderation.moderation,
    "consensus": moderation.consensus,
}


def self_supervised_objective(
    observed: SnippetBatch,
    predicted: Prediction,
    config: ObjectiveConfig,
    only: Collection[str] = tuple(TERMS),
) -> LossTerms:
    """Error of depths and motions against the images and the odometer.

    Args:
        observed: Images and measurements.
        predicted: Depths and motions of the networks.
        config: Weights and switches; a term of weight 0 is not computed.
        only: Names of the terms that may be computed.

    Returns:
        The terms; None where the batch has no data for one.
    """
    context = ReprojectionContext(observed, predicted, config)
    wanted = [name for name in TERMS if name in only and weight_of(name, config) > 0]
    parts = {name: TERMS[name](context) for name in wanted}
    known = {name: value for name, value in parts.items() if value is not None}
    return weighted_sum(known, predicted.T_source_target.new_zeros(()), config)


def needs_source_depths(config: ObjectiveConfig) -> bool:
    """Whether a term needs the sources' depths, a pass of the depth network each."""
    by_terms = (
        config.consistency_weight > 0 or config.icp_weight > 0 or needs_rigid_reverse(config)
    )
    return by_terms or config.self_discovered_mask or config.occlusion_mask == "nearer"


def needs_rigid_reverse(config: ObjectiveConfig) -> bool:
    """Whether a term needs the static scene's flow from the sources to the target."""
    return config.uses_flow and (config.flow_start == "rigid" or config.cross_task_weight > 0)
