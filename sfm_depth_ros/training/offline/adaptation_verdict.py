# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Outcome of an adaptation: how much of the learnt weights is kept, and whether they serve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sfm_depth_ros.training.blend import blended
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.offline.loop import Judge
from sfm_depth_ros.training.offline.run_state import SCORE

SHARES = tuple(eighths / 8 for eighths in range(8, 0, -1))
FEW_JUDGED = 20  # held-out snippets with landmarks
LANDMARK, RENDERED, RENDERED_SHAPE = "landmark_abs_rel", "abs_rel", "abs_rel_scaled"


@dataclass(frozen=True, eq=False)
class Mixture:
    """Weights between those that training began with and those that it ended with."""

    networks: NetworkPair  # In eval mode
    share: float  # Of the learnt weights
    figures: dict[str, float]  # By the judge


def mixtures(
    first: NetworkPair,
    learnt: NetworkPair,
    judge: Judge,
    before: Mapping[str, float],
    allowed: float,
) -> list[Mixture]:
    """Mixtures with less and less of the learnt weights, until one forgets little.

    And on, as long as the score gets better.

    Args:
        first: Networks that training began with, on the device of ``learnt``.
        learnt: Networks that it ended with.
        judge: Figures of networks.
        before: Those of ``first``.
        allowed: Relative loss on rendered drives.
    """
    found: list[Mixture] = []
    for share in SHARES:
        networks = blended(first, learnt, share)
        found.append(Mixture(networks, share, judge(networks)))
        kept = [each for each in found if forgotten(before, each.figures) <= allowed]
        scores = [_score(each) for each in kept]
        if len(scores) > 1 and math.inf > scores[-1] >= scores[-2]:
            break
    return found


def chosen_mixture(
    found: Sequence[Mixture], before: Mapping[str, float], allowed: float
) -> Mixture:
    """The mixture with the lowest score among those that forget little.

    Where all forget too much, the one with the least of the learnt weights.

    Args:
        found: Mixtures, the one with the least of the learnt weights last.
        before: Figures of the model that training began with.
        allowed: Relative loss on rendered drives.
    """
    kept = [mixture for mixture in found if forgotten(before, mixture.figures) <= allowed]
    return min(kept, key=_score) if kept else found[-1]


def forgotten(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Relative loss on rendered drives, in metres or in shape, whichever is larger.

    Args:
        before: Figures of the model that training began with.
        after: Of another one by the same judge.

    Returns:
        Below 0 = a gain; 0 without rendered drives.
    """
    if RENDERED not in before:
        return 0.0
    return max(_change(before, after, name) for name in (RENDERED, RENDERED_SHAPE))


@dataclass(frozen=True)
class Verdict:
    """Whether the adapted model replaces the one that it began with, and why."""

    is_better: bool
    sentences: tuple[str, ...]  # For people, the most important first


def verdict_of(before: Mapping[str, float], after: Mapping[str, float], allowed: float) -> Verdict:
    """Compare the figures of two models by the same judge.

    Args:
        before: Of the model that training began with.
        after: Of the adapted one.
        allowed: Relative loss on rendered drives.
    """
    was, now = before.get(SCORE, math.nan), after.get(SCORE, math.nan)
    what = (
        "mean error of depth at landmarks of held-out images"
        if LANDMARK in after
        else "error on held-out images (no landmarks were found to judge metres by)"
    )
    back = "The model that training began with is written back unchanged."
    if not (math.isfinite(was) and math.isfinite(now)):
        return Verdict(False, ("Nothing was held out to judge by, so the model stays as it was.",))
    if now >= was:
        gain = f"No gain: the {what} is {now:.3f}, and was {was:.3f} before."
        return Verdict(False, (f"{gain} {back} Give a longer drive, or more minutes.",))
    if not (loss := forgotten(before, after)) <= allowed:
        gain = f"Too much is forgotten: rendered drives of other places are {100 * loss:.0f} % "
        gain += f"worse than before, {100 * allowed:.0f} % are allowed (--max-forgetting)."
        return Verdict(False, (f"{gain} {back} Give drives of more places.",))
    gain = f"Use it: the {what} is {now:.3f}, and was {was:.3f} before."
    return Verdict(True, (gain, *_remarks(before, after)))


def _remarks(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    remarks = []
    if after.get("landmark_snippets", FEW_JUDGED) < FEW_JUDGED:
        remarks.append(
            f"Only {after['landmark_snippets']:.0f} held-out images had landmarks: drive once "
            "more and check with sfm-depth eval."
        )
    if RENDERED in before and RENDERED in after:
        metres, shape = (_change(before, after, name) for name in (RENDERED, RENDERED_SHAPE))
        remarks.append(
            f"On rendered drives of other places the error changed by {100 * metres:+.1f} % in "
            f"metres and by {100 * shape:+.1f} % in shape."
        )
    return remarks


def _change(before: Mapping[str, float], after: Mapping[str, float], name: str) -> float:
    if name not in before:
        return 0.0
    return after.get(name, math.inf) / before[name] - 1


def _score(mixture: Mixture) -> float:
    score = mixture.figures.get(SCORE, math.nan)
    return score if math.isfinite(score) else math.inf
