# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scale-aware self-supervised objective: a weighted sum of terms, each a function of a scene.

A new term is a function in one of the files named here, a line below, a field of ``LossTerms`` and
the weight of the same name in ``ObjectiveConfig``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.losses import reprojection, terms
from sfm_depth_ros.losses.context import Scene
from sfm_depth_ros.losses.inputs import Prediction
from sfm_depth_ros.snippets.batch import SnippetBatch


@dataclass(frozen=True)
class LossTerms:
    """The parts of the objective, unweighted, and their weighted sum.

    A part that the configuration does not ask for, or for which a batch has no data, is None.
    """

    total: Tensor  # What is minimised
    photometric: Tensor | None = None  # Mean photometric error over used pixels and scales
    # Mean over scales of the smoothness, halved at each coarser one
    smoothness: Tensor | None = None
    velocity: Tensor | None = None  # Mean difference in metres between predicted and measured ways
    # Mean difference in radians between predicted and measured turns
    rotation: Tensor | None = None
    # Mean |log depth - log truth| where the truth is known
    depth_supervision: Tensor | None = None
    # Relative translation error and weighted angle, likewise
    motion_supervision: Tensor | None = None
    explainability: Tensor | None = None  # Mean cross entropy of the explainability masks with one
    # Mean relative difference between target's and sources' depths
    consistency: Tensor | None = None
    # Mean photometric error of the target rebuilt from the right image
    stereo: Tensor | None = None
    # Mean difference of the left image's disparities from the right's where they point to, and the
    # other way round: the sum of both, as shares of the width
    left_right: Tensor | None = None
    icp: Tensor | None = None  # Misalignment of target's and sources' point clouds
    sparse_depth: Tensor | None = None  # Mean |log depth - log measured depth|
    residual_sparsity: Tensor | None = None  # How much of the image moves by itself
    residual_smoothness: Tensor | None = None  # How unevenly it does
    cycle: Tensor | None = None  # Difference between motions and their ways back

    def as_floats(self) -> dict[str, float]:
        """Every part there is as a number, for logs and diagnostics."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: float(v.detach()) for name, v in values.items() if v is not None}

    def with_supervision(self, parts: Mapping[str, Tensor], weight: float) -> LossTerms:
        """The same terms with supervised ones added to the total."""
        total = self.total
        for value in parts.values():
            total = total + weight * value
        return dataclasses.replace(self, total=total, **parts)


def weight_of(part: str, config: ObjectiveConfig) -> float:
    """Weight of a part of the objective: the field of its name."""
    weight: float = getattr(config, f"{part}_weight")
    return weight


def weighted_sum(parts: Mapping[str, Tensor], zero: Tensor, config: ObjectiveConfig) -> LossTerms:
    """Parts by name with their sum, each times the configuration's weight of that name.

    Args:
        parts: Scalars by the name of the field of :class:`LossTerms`.
        zero: A zero to begin the sum with.
        config: The weights.
    """
    total = zero
    for name, value in parts.items():
        total = total + weight_of(name, config) * value
    return LossTerms(total=total, **parts)


TERMS: dict[str, Callable[[Scene], Tensor | None]] = {
    "photometric": reprojection.photometric,
    "smoothness": terms.smoothness,
    "velocity": terms.velocity,
    "rotation": terms.rotation,
    "explainability": terms.explainability,
    "consistency": terms.consistency,
    "icp": terms.icp,
    "sparse_depth": terms.sparse_depth,
    "stereo": reprojection.stereo,
    "left_right": terms.left_right,
    "residual_sparsity": terms.residual_sparsity,
    "residual_smoothness": terms.residual_smoothness,
    "cycle": terms.cycle,
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
