# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison of new weights with the deployed ones on the frames held out at present."""

from __future__ import annotations

import math

from sfm_depth_ros.config.schema import ObjectiveConfig, OnlineTrainingConfig
from sfm_depth_ros.snippets.batch import SnippetBatch, collate_in_batches
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.online.deployed_models import Deployment
from sfm_depth_ros.training.online.deployment import HeldOutError, Verdict, held_out_error, judge
from sfm_depth_ros.training.online.memory import Rehearsal
from sfm_depth_ros.training.validation import validate

FEWEST = 3  # held-out snippets before a model may be judged
MOST = 16  # spread evenly over all: a validation takes a second or two
BATCH = 8


class HeldOutComparison:
    """Remembers both errors, and measures the deployed model again only on other snippets.

    Attributes:
        before: Held-out error of the deployed model, None before the first comparison.
        after: Held-out error of the newest candidate.
        base_abs_rel: Rehearsal error of the model that training began with.
        said: The newest verdict's reason.
    """

    def __init__(self) -> None:
        self.before: HeldOutError | None = None
        self.after: HeldOutError | None = None
        self.base_abs_rel = math.nan
        self.said = ""
        self._compared_on: tuple[object, ...] = ()

    def compare(
        self,
        candidate: NetworkPair,
        deployment: Deployment,
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
            configs: What is asked of a candidate, and the weights of the photometric error.
        """
        if len(snippets) < FEWEST:
            return self._note(Verdict(False, False, "waiting for held-out snippets"))
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
                self.base_abs_rel,
                training.min_improvement,
                training.max_forgetting,
            )
        )

    def _rendered(
        self, rehearsal: Rehearsal | None, deployment: Deployment, device: str
    ) -> list[SnippetBatch]:
        if rehearsal is None:
            return []
        batches = [batch.to(device) for batch in rehearsal.held_out()]
        if batches and math.isnan(self.base_abs_rel):
            origin = deployment.origin
            self.base_abs_rel = validate(origin.depth, origin.pose, batches).abs_rel_scaled
        return batches

    def _note(self, verdict: Verdict) -> Verdict:
        self.said = verdict.reason
        return verdict
