# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Comparison of a candidate with the deployed model on held-out snippets, with its memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.config.schema import ObjectiveConfig, OnlineTrainingConfig
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.blend import blended
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.online.deployed_models import DeployedModels
from sfm_depth_ros.training.online.guard import (
    Exam,
    HeldOutError,
    Judgement,
    Verdict,
    forgotten,
    judge,
    lacking,
    rehearsal_errors,
    rendered_scales,
    without_sources,
)
from sfm_depth_ros.training.online.rehearsal import HELD_OUT, Rehearsal

SHARES = (1.0, 0.75, 0.5, 0.25)  # of the learnt weights, in the order in which they are tried


class HeldOutComparison:
    """Remembers both errors, and measures the deployed model again only on other snippets.

    Attributes:
        before: Held-out error of the deployed model, None before the first comparison.
        after: Held-out error of the newest candidate.
        first_rehearsal: Rehearsal errors of the model that training began with, one a snippet.
        reason: The newest verdict's reason.
        chosen: The weights of the newest verdict, None before the first.
        share: Share of the learnt weights in them; the rest is the deployed model's.
    """

    def __init__(self) -> None:
        self.before: HeldOutError | None = None
        self.after: HeldOutError | None = None
        self.first_rehearsal = np.zeros(0)
        self.reason = ""
        self.chosen: NetworkPair | None = None
        self.share = 1.0
        self._rehearsal: Rehearsal | None = None  # that the first model was measured on
        self._rendered: list[SnippetBatch] = []  # its held-out snippets, read once
        self._compared_on: tuple[object, ...] = ()
        self._exam: Exam | None = None
        self._deployed: Judgement | None = None

    def compare(
        self,
        candidate: NetworkPair,
        deployment: DeployedModels,
        snippets: list[Snippet],
        rehearsal: Rehearsal | None,
        configs: tuple[OnlineTrainingConfig, ObjectiveConfig],
        world: float = 1.0,
    ) -> Verdict:
        """Judge a candidate, or as much of it as forgets little (``chosen``, ``share``).

        Args:
            candidate: Weights in eval mode, without adapters.
            deployment: What it would replace.
            snippets: The camera's held-out snippets, of one size.
            rehearsal: Rendered snippets, or None.
            configs: Thresholds for a candidate, and the weights of the photometric error.
            world: Times that the rendered world is larger than its truth.
        """
        self.chosen, self.share = None, 1.0
        if reason := lacking(snippets) or _lacking_rendered(rehearsal):
            return self._note(Verdict(False, False, reason))
        training, objective = configs
        exam, deployed = self._prepared(deployment, snippets, rehearsal, configs, world)
        first = None if rehearsal is None else self.first_rehearsal

        def judged(share: float) -> _Choice:
            chosen = blended(deployment.networks, candidate, share)
            rehearsed = rehearsal_errors(chosen, exam.rendered, exam.world, exam.in_metres)
            reason = forgotten(rehearsed, first, training.max_forgetting)
            if reason and share > SHARES[-1]:  # a smaller share may do
                return _Choice(chosen, share, None, Verdict(False, False, reason))
            judgement = Judgement.of(chosen, exam, objective, rehearsed)
            verdict = judge(judgement, deployed, exam.places, first, training)
            return _Choice(chosen, share, judgement.means(), verdict)

        choice = _chosen(judged)
        self.chosen, self.share, self.after = choice.networks, choice.share, choice.errors
        return self._note(choice.verdict)

    def _prepared(
        self,
        deployment: DeployedModels,
        snippets: list[Snippet],
        rehearsal: Rehearsal | None,
        configs: tuple[OnlineTrainingConfig, ObjectiveConfig],
        world: float,
    ) -> tuple[Exam, Judgement]:
        """The exam on these snippets, and the deployed model's errors in it."""
        training, objective = configs
        if rehearsal is not self._rehearsal:
            self._open(rehearsal, deployment, training.device)
        stamps = (int(snippet.stamps_ns[1]) for snippet in snippets)
        key = (deployment.folder.model_id, objective, world, len(self._rendered), *stamps)
        if self._exam is None or self._deployed is None or key != self._compared_on:
            in_metres = rehearsal.in_metres if rehearsal is not None else None
            self._exam = None  # two at once would take twice the memory
            self._exam = Exam.of(snippets, self._rendered, training.device, world, in_metres)
            self._deployed = Judgement.of(deployment.networks, self._exam, objective)
            self.before = self._deployed.means()
            self._compared_on = key
        return self._exam, self._deployed

    def _open(self, rehearsal: Rehearsal | None, deployment: DeployedModels, device: str) -> None:
        """Read another held-out set, and measure the first model on it."""
        self._rehearsal, self._rendered, self._exam = rehearsal, [], None
        self.first_rehearsal = np.zeros(0)
        if rehearsal is None:
            return
        rendered, origin = [batch.to(device) for batch in rehearsal.held_out()], deployment.origin
        size = rendered_scales(origin, rendered)[0]
        self.first_rehearsal = rehearsal_errors(origin, rendered, size, rehearsal.in_metres)
        self._rendered = [without_sources(batch) for batch in rendered]

    def _note(self, verdict: Verdict) -> Verdict:
        self.reason = verdict.reason
        return verdict


@dataclass(frozen=True, eq=False)
class _Choice:
    """Share of the learnt weights, judged."""

    networks: NetworkPair
    share: float
    errors: HeldOutError | None  # None where it forgets too much and was judged no further
    verdict: Verdict


def _chosen(judged: Callable[[float], _Choice]) -> _Choice:
    """The largest share that forgets little; a smaller one where that saves a gain from a place.

    Less of the weights loses less at the place that is worse. Where no share is accepted, training
    goes on from the largest one all the same.
    """
    largest = None
    for share in SHARES:
        choice = judged(share)
        if choice.errors is None:
            continue
        largest = largest or choice
        if not choice.verdict.is_local:
            return choice if choice.verdict.is_accepted else largest
    assert largest is not None  # the smallest share is always judged
    return largest


def _lacking_rendered(rehearsal: Rehearsal | None) -> str:
    if rehearsal is not None and (missing := rehearsal.held_out_missing):
        return f"waiting for held-out rendered snippets: {HELD_OUT - missing} of {HELD_OUT}"
    return ""
