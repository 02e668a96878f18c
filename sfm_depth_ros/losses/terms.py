# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The named parts of what is minimised."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig


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
