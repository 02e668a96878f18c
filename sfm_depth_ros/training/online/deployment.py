# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What may be deployed: a model that is better on frames it never learnt from, and forgot nothing.

The camera's held-out snippets have no true depth, so they are judged by what they do have: how
well the target is rebuilt from its sources over the measured displacements, and how far both
metric scales are from what odometer and images say. Held-out rendered drives have everything:
they tell whether the rest of the world was forgotten.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.scale_calibration import ScaleMeasurement, measure_scale
from sfm_depth_ros.training.validation import validate

LOG_FACTORS = (-0.45, -0.3, -0.15, 0.0, 0.15, 0.3, 0.45)
EXPLODED = 1.5  # a held-out error this many times the deployed model's means divergence


@dataclass(frozen=True)
class HeldOutError:
    """Error on snippets that are never trained on, in parts."""

    # Photometric error of the finest depth with auto-mask, the translation taken at its measured
    # length
    photometric: float
    translation_deviation: float  # Median of |predicted / measured translation length - 1|
    depth_deviation: float  # |log| of the depth factor at which the images would fit best
    translation_scale_ratio: float  # Median of predicted / measured length
    depth_scale_ratio: float  # The inverse of that depth factor
    # Median-scaled abs_rel on held-out rendered drives; NaN without any. Scaled, because metric
    # scale is the camera's: giving it up for another is no loss.
    rehearsal_abs_rel: float

    @property
    def total(self) -> float:
        """The one number that decides: photometric error plus both deviations of scale."""
        return self.photometric + self.translation_deviation + self.depth_deviation

    @property
    def is_finite(self) -> bool:
        """Whether the networks answered with numbers at all."""
        return math.isfinite(self.total)

    def as_floats(self) -> dict[str, float]:
        """Parts and total by name."""
        return {**dataclasses.asdict(self), "total": self.total}


@dataclass(frozen=True)
class Verdict:
    """What the guard decided."""

    is_accepted: bool  # Whether the candidate may be deployed
    has_exploded: bool  # Whether it is so much worse that training must go back
    reason: str  # Sentence for people


def held_out_error(
    networks: NetworkPair,
    held_out: Sequence[SnippetBatch],
    rehearsal: Sequence[SnippetBatch],
    objective: ObjectiveConfig,
) -> HeldOutError:
    """Judge networks in eval mode on held-out snippets of the camera and of the rendered world."""
    scale = measure_scale(networks.depth, networks.pose, held_out, objective, LOG_FACTORS)
    abs_rel = math.nan
    if rehearsal:
        abs_rel = validate(networks.depth, networks.pose, rehearsal).abs_rel_scaled
    return _from_measurement(scale, abs_rel)


def judge(
    candidate: HeldOutError,
    deployed: HeldOutError,
    base_abs_rel: float,
    min_improvement: float,
    max_forgetting: float,
) -> Verdict:
    """Decide whether a candidate replaces the deployed model.

    Args:
        candidate: Error of the new weights.
        deployed: Error of the deployed model on the same snippets.
        base_abs_rel: Rehearsal error of the model that training began with, so that forgetting
            cannot creep in over many small steps; NaN = unknown.
        min_improvement: Relative gain that is needed.
        max_forgetting: Relative loss on rendered drives that is allowed.
    """
    if not candidate.is_finite or candidate.total > EXPLODED * deployed.total:
        return Verdict(
            False,
            True,
            f"held-out error {candidate.total:.4f} is far above the "
            f"deployed model's {deployed.total:.4f}",
        )
    limit = base_abs_rel * (1 + max_forgetting)
    if candidate.rehearsal_abs_rel > limit:
        return Verdict(
            False,
            False,
            f"abs_rel {candidate.rehearsal_abs_rel:.4f} on rendered "
            f"drives is above {limit:.4f}: too much is forgotten",
        )
    if deployed.is_finite and candidate.total > (1 - min_improvement) * deployed.total:
        return Verdict(
            False,
            False,
            f"held-out error {candidate.total:.4f} is not better enough than {deployed.total:.4f}",
        )
    return Verdict(
        True, False, f"held-out error {candidate.total:.4f} instead of {deployed.total:.4f}"
    )


def _from_measurement(scale: ScaleMeasurement, abs_rel: float) -> HeldOutError:
    return HeldOutError(
        photometric=scale.photometric,
        translation_deviation=scale.translation_deviation,
        depth_deviation=abs(math.log(scale.depth_factor)),
        translation_scale_ratio=scale.translation_scale_ratio,
        depth_scale_ratio=1.0 / scale.depth_factor,
        rehearsal_abs_rel=abs_rel,
    )
