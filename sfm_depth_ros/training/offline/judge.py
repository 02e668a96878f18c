# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judgement of a run: errors on what is held out of its bags and on rendered drives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.snippets.zoom import whole_view
from sfm_depth_ros.training.network_pair import (
    NetworkPair,
)
from sfm_depth_ros.training.offline.data import (
    Source,
    TrainingData,
    batches_of,
)
from sfm_depth_ros.training.offline.run_state import SCORE
from sfm_depth_ros.training.validation import measure_without_truth, validate

RECORDED = "recorded_"  # before names of figures of recordings


@dataclass(frozen=True)
class DataJudge:
    """Judge of a run: compares networks with what training never sees.

    Rendered snippets are compared with their truth. Recorded ones are judged by what a robot has:
    how well the target is rebuilt from its sources, and the predicted lengths of translations
    against the measured ones. Where their truth is known it is reported, but decides nothing.
    """

    data: TrainingData  # Its validation snippets
    objective: ObjectiveConfig  # Weights of the photometric error
    device: str  # Where the networks are

    def __call__(self, networks: NetworkPair) -> dict[str, float]:
        """Figures by name, and under ``score`` the one to minimise; empty without snippets.

        Args:
            networks: In eval mode.
        """
        found: dict[str, float] = {}
        if self.data.rendered_validation:
            found = self._against_truth(networks, self.data.rendered_validation)
            found[SCORE] = found["abs_rel"]
        if self.data.recorded_validation:
            batches = self._batches(self.data.recorded_validation)
            measured = measure_without_truth(networks, batches, self.objective)
            found |= {RECORDED + name: value for name, value in measured.items()}
            found |= self._truth_of_recorded(networks)
            found[SCORE] = measured["photometric"] + measured["translation_error"]
        return found

    def _truth_of_recorded(self, networks: NetworkPair) -> dict[str, float]:
        sources = self.data.recorded_validation
        known = [source for source in sources if source.cache.has("depth")]
        if not known:
            return {}
        errors = self._against_truth(networks, known)
        errors["true_translation_error"] = errors.pop("translation_error")
        return {RECORDED + name: value for name, value in errors.items()}

    def _against_truth(self, networks: NetworkPair, sources: Iterable[Source]) -> dict[str, float]:
        return validate(networks.depth, networks.pose, self._batches(sources)).as_floats()

    def _batches(self, sources: Iterable[Source]) -> Iterable[SnippetBatch]:
        batches = (batch.to(self.device) for batch in batches_of(sources))
        return (whole_view(batch, self.data.config.width) for batch in batches)
