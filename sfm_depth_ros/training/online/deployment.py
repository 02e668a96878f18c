# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decision about deployment: better on frames it never learnt from, and nothing forgotten.

The camera's held-out snippets have no true depth, so they are judged by what they do have: how
well the target is rebuilt from its sources over the measured displacements, and how far both
metric scales are from those of odometer and images. Held-out rendered drives have everything:
they tell whether the rest of the world was forgotten.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from sfm_depth_ros.config.schema import ObjectiveConfig, OnlineTrainingConfig
from sfm_depth_ros.snippets.batch import SnippetBatch, collate_in_batches
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.online.deployed_models import DeployedModels
from sfm_depth_ros.training.online.rehearsal import HELD_OUT, Rehearsal
from sfm_depth_ros.training.scale_calibration import ScaleMeasurement, measure_scale
from sfm_depth_ros.training.validation import validate

LOG_FACTORS = (-0.45, -0.3, -0.15, 0.0, 0.15, 0.3, 0.45)
EXPLODED = 1.5  # a held-out error this many times the deployed model's means divergence
FEWEST = 8  # held-out snippets before a model may be judged
MOST = 16  # spread evenly over all: a validation takes a second or two
BATCH = 8


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
        """Whether the networks gave numbers at all."""
        return math.isfinite(self.total)

    def as_floats(self) -> dict[str, float]:
        """Parts and total by name."""
        return {**dataclasses.asdict(self), "total": self.total}


@dataclass(frozen=True)
class Verdict:
    """Decision about a candidate."""

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
    base_abs_rel: float | None,
    min_improvement: float,
    max_forgetting: float,
) -> Verdict:
    """Decide whether a candidate replaces the deployed model.

    Args:
        candidate: Error of the new weights.
        deployed: Error of the deployed model on the same snippets.
        base_abs_rel: Rehearsal error of the model that training began with, so that forgetting
            cannot creep in over many small steps; None = nothing is rehearsed.
        min_improvement: Relative gain that is needed.
        max_forgetting: Relative loss on rendered drives that is allowed.
    """
    error = f"held-out error {candidate.total:.4f}"
    if not candidate.is_finite and not deployed.is_finite:
        reason = "waiting: the held-out error is not a number, for the deployed model neither"
        return Verdict(is_accepted=False, has_exploded=False, reason=reason)
    if not candidate.is_finite or candidate.total > EXPLODED * deployed.total:
        reason = f"{error} is far above the deployed model's {deployed.total:.4f}"
        return Verdict(is_accepted=False, has_exploded=True, reason=reason)
    if base_abs_rel is not None:
        reason = _forgotten(candidate.rehearsal_abs_rel, base_abs_rel, max_forgetting)
        if reason:
            return Verdict(is_accepted=False, has_exploded=False, reason=reason)
    if deployed.is_finite and candidate.total > (1 - min_improvement) * deployed.total:
        reason = f"{error} does not improve on {deployed.total:.4f} by {100 * min_improvement:g} %"
        return Verdict(is_accepted=False, has_exploded=False, reason=reason)
    reason = f"{error} instead of {deployed.total:.4f}"
    return Verdict(is_accepted=True, has_exploded=False, reason=reason)


def _forgotten(abs_rel: float, base: float, max_forgetting: float) -> str:
    """Reason why the error on rendered drives forbids deployment, or an empty string."""
    if not (math.isfinite(abs_rel) and math.isfinite(base)):
        return f"waiting: abs_rel on rendered drives is {abs_rel:.4f}, at first {base:.4f}"
    limit = base * (1 + max_forgetting)
    if abs_rel <= limit:
        return ""
    return f"abs_rel {abs_rel:.4f} on rendered drives is above {limit:.4f}: too much is forgotten"


def _from_measurement(scale: ScaleMeasurement, abs_rel: float) -> HeldOutError:
    return HeldOutError(
        photometric=scale.photometric,
        translation_deviation=scale.translation_deviation,
        depth_deviation=abs(math.log(scale.depth_factor)),
        translation_scale_ratio=scale.translation_scale_ratio,
        depth_scale_ratio=1.0 / scale.depth_factor,
        rehearsal_abs_rel=abs_rel,
    )


class HeldOutComparison:
    """Remembers both errors, and measures the deployed model again only on other snippets.

    Attributes:
        before: Held-out error of the deployed model, None before the first comparison.
        after: Held-out error of the newest candidate.
        base_abs_rel: Rehearsal error of the model that training began with.
        reason: The newest verdict's reason.
    """

    def __init__(self) -> None:
        self.before: HeldOutError | None = None
        self.after: HeldOutError | None = None
        self.base_abs_rel = math.nan
        self.reason = ""
        self._compared_on: tuple[object, ...] = ()

    def compare(
        self,
        candidate: NetworkPair,
        deployment: DeployedModels,
        snippets: list[Snippet],
        rehearsal: Rehearsal | None,
        configs: tuple[OnlineTrainingConfig, ObjectiveConfig],
    ) -> Verdict:
        """Judge a candidate.

        Args:
            candidate: Weights in eval mode.
            deployment: What it would replace.
            snippets: The camera's held-out snippets, of one size.
            rehearsal: Rendered snippets, or None.
            configs: Thresholds for a candidate, and the weights of the photometric error.
        """
        if reason := _lacking(snippets, rehearsal):
            return self._note(Verdict(False, False, reason))
        training, objective = configs
        rendered = self._rendered(rehearsal, deployment, training.device)
        batches = [b.to(training.device) for b in collate_in_batches(snippets, BATCH)]
        stamps = (int(snippet.stamps_ns[1]) for snippet in snippets)
        key = (deployment.folder.model_id, len(rendered), *stamps)
        if self.before is None or key != self._compared_on:
            self.before = held_out_error(deployment.networks, batches, rendered, objective)
            self._compared_on = key
        self.after = held_out_error(candidate, batches, rendered, objective)
        return self._note(
            judge(
                self.after,
                self.before,
                None if rehearsal is None else self.base_abs_rel,
                training.min_improvement,
                training.max_forgetting,
            )
        )

    def _rendered(
        self, rehearsal: Rehearsal | None, deployment: DeployedModels, device: str
    ) -> list[SnippetBatch]:
        if rehearsal is None:
            return []
        batches = [batch.to(device) for batch in rehearsal.held_out()]
        if batches and math.isnan(self.base_abs_rel):
            origin = deployment.origin
            self.base_abs_rel = validate(origin.depth, origin.pose, batches).abs_rel_scaled
        return batches

    def _note(self, verdict: Verdict) -> Verdict:
        self.reason = verdict.reason
        return verdict


def _lacking(snippets: Sequence[Snippet], rehearsal: Rehearsal | None) -> str:
    """Evidence that a verdict still lacks, or an empty string."""
    if len(snippets) < FEWEST:
        return f"waiting for held-out snippets: {len(snippets)} of {FEWEST}"
    if rehearsal is not None and (missing := rehearsal.held_out_missing):
        return f"waiting for held-out rendered snippets: {HELD_OUT - missing} of {HELD_OUT}"
    return ""
