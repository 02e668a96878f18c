# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decision about deployment: better beyond chance on frames never learnt from, worse nowhere.

The camera's held-out snippets have no true depth. They are judged by what a robot has: landmarks
(depth in metres), how well the target is rebuilt from its sources, and predicted against measured
lengths. Candidate and deployed model are compared on the same snippets, over all and at every
place by itself. Held-out rendered drives have everything: they show whether the rest of the world
was forgotten since the first model.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig, OnlineTrainingConfig
from sfm_depth_ros.snippets.batch import LazyBatches, SnippetBatch
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.frame_errors import FrameErrors, frame_errors
from sfm_depth_ros.training.landmark_depth import landmark_depths
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.online.paired import (
    Change,
    change_by_place,
    mean_change,
    places_of,
    relative_changes,
)
from sfm_depth_ros.training.online.rehearsal import PER_DRIVE
from sfm_depth_ros.training.validation import landmark_errors, validate

EXPLODED = 0.5  # relative change of the error that means divergence
LARGEST_LOSS = 0.03  # relative, at one place; a larger one that is no chance forbids deployment
FEWEST, FEWEST_PLACES = 12, 2  # held-out snippets and places before a model may be judged
MOST = 40  # held-out snippets, spread evenly over all: a validation takes a few seconds
BATCH = 8
ROUNDING = 1e-6
SMALLEST_BASE = 1e-3  # abs_rel that a change is relative to, at least


@dataclass(frozen=True)
class HeldOutError:
    """Means over snippets that are never trained on."""

    photometric: float  # Error of the finest depth, the translation taken at its measured length
    translation_deviation: float  # Of |predicted / measured length - 1|
    landmark_abs_rel: float  # Of depth against landmarks, in metres; NaN where there are few
    translation_scale_ratio: float  # Median of predicted / measured length
    depth_scale_ratio: float  # Median of predicted / landmarks' depth
    # abs_rel on held-out rendered drives, in metres (of the size that the first model saw) through
    # the robot's own camera, median-scaled through others; NaN without any
    rehearsal_abs_rel: float

    @property
    def total(self) -> float:
        """Sum of the three errors, or of two where landmarks are few."""
        landmark = 0.0 if math.isnan(self.landmark_abs_rel) else self.landmark_abs_rel
        return self.photometric + self.translation_deviation + landmark

    def as_floats(self) -> dict[str, float]:
        """Parts and total by name."""
        return {**dataclasses.asdict(self), "total": self.total}


@dataclass(frozen=True)
class Verdict:
    """Decision about a candidate."""

    is_accepted: bool  # Whether the candidate may be deployed
    has_exploded: bool  # Whether it is so much worse that training must go back
    reason: str  # Sentence for people, with the number that decided
    is_local: bool = False  # Whether it was refused for a loss at one place


@dataclass(frozen=True, eq=False)
class Exam:
    """Snippets that models are judged on, with all that is no function of a model."""

    batches: Sequence[SnippetBatch]  # The camera's, held out; made anew whenever they are read
    landmarks: Sequence[Tensor]  # `(B, 1, H, W)` metres of every batch
    places: np.ndarray  # `(N,)` number of the place of every snippet
    rendered: Sequence[SnippetBatch]  # Of the rehearsal, held out, with true depth
    world: float = 1.0  # Times that the rendered world is larger than its truth
    in_metres: np.ndarray | None = None  # `(M,)` bool, rendered ones that are judged in metres

    @classmethod
    def of(
        cls,
        snippets: Sequence[Snippet],
        rendered: Sequence[SnippetBatch],
        device: str,
        world: float = 1.0,
        in_metres: np.ndarray | None = None,
    ) -> Exam:
        """The exam of snippets of one image size, on a device."""
        batches = LazyBatches(snippets, BATCH, device)
        stamps = np.array([int(snippet.stamps_ns[1]) for snippet in snippets], np.int64)
        rendered = [batch.to(device) for batch in rendered]
        return cls(
            batches, landmark_depths(batches), places_of(stamps), rendered, world, in_metres
        )


@dataclass(frozen=True, eq=False)
class Judgement:
    """Errors of one model in an exam."""

    errors: FrameErrors  # On the camera's snippets
    rehearsal: np.ndarray  # `(M,)` abs_rel on the rendered ones

    @classmethod
    def of(
        cls,
        networks: NetworkPair,
        exam: Exam,
        objective: ObjectiveConfig,
        rehearsed: np.ndarray | None = None,
    ) -> Judgement:
        """Judge networks in eval mode; ``rehearsed`` are their rehearsal errors where known."""
        errors = frame_errors(networks, exam.batches, exam.landmarks, objective)
        if rehearsed is None:
            rehearsed = rehearsal_errors(networks, exam.rendered, exam.world, exam.in_metres)
        return cls(errors, rehearsed)

    def means(self) -> HeldOutError:
        """The same in a few numbers."""
        errors = self.errors
        return HeldOutError(
            photometric=float(errors.photometric.mean()),
            translation_deviation=float(errors.translation.mean()),
            landmark_abs_rel=_known(errors.landmark, np.mean),
            translation_scale_ratio=float(np.median(errors.translation_ratio)),
            depth_scale_ratio=_known(errors.depth_ratio, np.median),
            rehearsal_abs_rel=_known(self.rehearsal, np.mean),
        )


def rehearsal_errors(
    networks: NetworkPair,
    rendered: Sequence[SnippetBatch],
    world: float = 1.0,
    in_metres: np.ndarray | None = None,
) -> np.ndarray:
    """abs_rel of every rendered snippet, ``(M,)``.

    Through the robot's own camera in metres: places of its drive teach a scale of their own, which
    shows in other places as a wrong one. Through other cameras median-scaled: their metres are
    none of this robot's, their shape is. Where its own camera is not known (no mounting), theirs
    are all that shows a scale run away.

    Args:
        networks: In eval mode.
        rendered: With true depth.
        world: Times that the rendered world is larger than its truth.
        in_metres: ``(M,)`` which are judged in metres; None = none.
    """
    truths = [world * batch.depth for batch in rendered if batch.depth is not None]
    if not truths:
        return np.zeros(0)
    found = landmark_errors(networks.depth, rendered, truths)
    if in_metres is None:
        return found.abs_rel_scaled
    return np.where(in_metres, found.abs_rel, found.abs_rel_scaled)


def without_sources(batch: SnippetBatch) -> SnippetBatch:
    """What depth is judged by, in less memory."""
    return dataclasses.replace(batch, sources=batch.sources[:, :0].clone())


def rendered_scales(
    networks: NetworkPair, rendered: Sequence[SnippetBatch]
) -> tuple[float, float]:
    """Median of predicted / true (depth, length of translations) on rendered snippets.

    Returns:
        1 for what is not known, or is no number.
    """
    found = validate(networks.depth, networks.pose, rendered)
    scales = found.depth_scale_ratio, found.translation_scale_ratio
    depth, translation = (s if math.isfinite(s) and s > 0 else 1.0 for s in scales)
    return depth, translation


def judge(
    candidate: Judgement,
    deployed: Judgement,
    places: np.ndarray,
    first_rehearsal: np.ndarray | None,
    training: OnlineTrainingConfig,
) -> Verdict:
    """Decide whether a candidate replaces the deployed model.

    Args:
        candidate: Errors of the new weights.
        deployed: Errors of the deployed model in the same exam.
        places: ``(N,)`` places of the exam's snippets.
        first_rehearsal: Rehearsal errors of the model that training began with, so that
            forgetting cannot creep in over many small steps; None = nothing is rehearsed.
        training: Thresholds.
    """
    new, old = candidate.errors, deployed.errors
    if not new.is_finite:
        if old.is_finite:
            return _exploded("the held-out error is not a number")
        return _refused("waiting: the held-out error is not a number, for no model")
    if reason := forgotten(candidate.rehearsal, first_rehearsal, training.max_forgetting):
        return _refused(reason)
    if not old.is_finite:
        return Verdict(True, False, "the deployed model's held-out error is not a number")
    changes = relative_changes(new, old)
    change = mean_change(changes, places)
    if change.mean > EXPLODED:
        return _exploded(f"held-out error {change}: far above the deployed model's")
    if reason := _worse_at_a_place(new, old, places):
        return Verdict(False, False, reason, is_local=True)
    if (depth := _depth_change(new, old, places)).mean > ROUNDING:
        return _refused(f"depth's error {depth}: a better pose network does not pay for it")
    if not change.is_better or change.mean > -training.min_improvement:
        percent = 100 * training.min_improvement
        return _refused(f"held-out error {change}: no gain of {percent:g} % beyond chance")
    return Verdict(True, False, f"held-out error {change}, {_parts(candidate, deployed)}")


def forgotten(new: np.ndarray, first: np.ndarray | None, allowed: float) -> str:
    """Reason why the error on rendered drives forbids deployment, or an empty string.

    Args:
        new: ``(M,)`` errors of the candidate.
        first: ``(M,)`` of the first model on the same snippets; None = nothing is rehearsed.
        allowed: Largest relative change of the mean.
    """
    if first is None:
        return ""
    abs_rel, base = _known(new, np.mean), _known(first, np.mean)
    if not len(first) or not (np.isfinite(new).all() and np.isfinite(first).all()):
        return f"waiting: abs_rel on rendered drives is {abs_rel:.4f}, at first {base:.4f}"
    limit = base * (1 + allowed)
    if abs_rel <= limit:
        return ""
    drives = np.arange(len(new)) // PER_DRIVE
    change = mean_change((new - first) / max(base, SMALLEST_BASE), drives)
    return (
        f"abs_rel {abs_rel:.4f} on rendered drives is above {limit:.4f} ({change}): too much is "
        "forgotten"
    )


def _worse_at_a_place(new: FrameErrors, old: FrameErrors, places: np.ndarray) -> str:
    """Reason why one place forbids deployment, or an empty string."""
    for name, parts in (("error", None), ("landmark error", ("landmark",))):
        changes = relative_changes(new, old, parts) if parts else relative_changes(new, old)
        by_place = change_by_place(changes, places)
        worst = max(by_place.values(), key=lambda change: change.mean)
        if worst.is_worse and worst.mean > LARGEST_LOSS:
            return f"{name} {worst} at one of {len(by_place)} places: worse there beyond chance"
    return ""


def _depth_change(new: FrameErrors, old: FrameErrors, places: np.ndarray) -> Change:
    """Change of the landmarks' error, or of the photometric one where landmarks are few."""
    part = "landmark" if np.isfinite(new.landmark).any() else "photometric"
    return mean_change(relative_changes(new, old, (part,)), places)


def _parts(candidate: Judgement, deployed: Judgement) -> str:
    new, old = candidate.means(), deployed.means()
    landmarks = f"landmarks {new.landmark_abs_rel:.4f} instead of {old.landmark_abs_rel:.4f}"
    if math.isnan(new.landmark_abs_rel):
        landmarks = "few landmarks"
    return f"{landmarks}, photometric {new.photometric:.4f} instead of {old.photometric:.4f}"


def lacking(snippets: Sequence[Snippet]) -> str:
    """Reason why a verdict on these snippets must wait, or an empty string."""
    if len(snippets) < FEWEST:
        return f"waiting for held-out snippets: {len(snippets)} of {FEWEST}"
    places = len(np.unique(places_of(np.array([int(s.stamps_ns[1]) for s in snippets]))))
    if places < FEWEST_PLACES:
        return f"waiting for held-out snippets of another place: {places} of {FEWEST_PLACES}"
    return ""


def _refused(reason: str) -> Verdict:
    return Verdict(is_accepted=False, has_exploded=False, reason=reason)


def _exploded(reason: str) -> Verdict:
    return Verdict(is_accepted=False, has_exploded=True, reason=reason)


def _known(values: np.ndarray, reduce: object) -> float:
    known = values[np.isfinite(values)]
    return float(reduce(known)) if len(known) else math.nan  # type: ignore[operator]
