# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What offline training says of its networks, and which of them it calls the best."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.snippets.zoom import whole_view
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.offline.data import Source, TrainingData, batches_of
from sfm_depth_ros.training.step import StepOptions, training_step
from sfm_depth_ros.training.validation import validate

SHORTEST = 0.1  # metres: relative errors of ways are taken of at least this length
SCORE = "score"
RECORDED = "recorded_"

Judge = Callable[[NetworkPair], dict[str, float]]


@dataclass(frozen=True)
class DataJudge:
    """Compares networks with what training never sees.

    Rendered snippets are compared with their truth. Recorded ones are judged by what a robot has:
    how well the target is rebuilt from its sources, and how long the predicted ways are against
    the measured ones; where their truth is known it is reported as well, but decides nothing.
    """

    data: TrainingData  # Its validation snippets
    objective: ObjectiveConfig  # How images are compared
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
            recorded = self._recorded(networks)
            found |= {RECORDED + name: value for name, value in recorded.items()}
            found[SCORE] = recorded["photometric"] + recorded["way_error"]
        return found

    def _recorded(self, networks: NetworkPair) -> dict[str, float]:
        sources = self.data.recorded_validation
        found = judge_recorded(networks, self._batches(sources), self.objective)
        known = [source for source in sources if source.cache.has("depth")]
        return found | (self._against_truth(networks, known) if known else {})

    def _against_truth(self, networks: NetworkPair, sources: Iterable[Source]) -> dict[str, float]:
        return validate(networks.depth, networks.pose, self._batches(sources)).as_floats()

    def _batches(self, sources: Iterable[Source]) -> Iterable[SnippetBatch]:
        batches = (batch.to(self.device) for batch in batches_of(sources))
        return (whole_view(batch, self.data.config.width) for batch in batches)


@torch.no_grad()
def judge_recorded(
    networks: NetworkPair, batches: Iterable[SnippetBatch], objective: ObjectiveConfig
) -> dict[str, float]:
    """What needs no truth.

    Args:
        networks: In eval mode.
        batches: Snippets with measured displacements.
        objective: How images are compared.

    Returns:
        photometric: Mean photometric error of the finest depth; way_error: mean of |predicted -
        measured| length of the ways, relative to the measured (at least 0.1 m);
        way_scale_ratio: median of predicted / measured length; snippets: how many.
    """
    errors, counts, ways = [], [], []
    objective = dataclasses.replace(objective, photometric_weight=1.0)  # judged, if not learnt
    for batch in batches:
        result = training_step(
            networks.depth, networks.pose, batch, objective, StepOptions(photometric_scales=1)
        )
        errors.append(float(result.terms.as_floats()["photometric"]))
        counts.append(len(batch))
        said = result.T_source_target[..., :3, 3].norm(dim=-1).flatten().cpu()
        ways.append(torch.stack((said, batch.displacements.flatten().cpu())))
    said, measured = torch.cat(ways, dim=1)
    known = measured.isfinite()
    said, measured = said[known], measured[known]
    floor = measured.clamp(min=SHORTEST)
    total = sum(counts)
    return {
        "photometric": sum(e * n for e, n in zip(errors, counts, strict=True)) / total,
        "way_error": float(((said - measured).abs() / floor).mean()) if len(said) else math.nan,
        "way_scale_ratio": float((said / floor).median()) if len(said) else math.nan,
        "snippets": total,
    }
