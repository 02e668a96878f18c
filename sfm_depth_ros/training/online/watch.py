# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Watch over a deployed model: worse than its predecessor on new snippets, and it goes back.

The held-out snippets that a model was chosen by are a little too kind to it. What the robot sees
after the deployment is unseen by both models, whatever becomes of it in training.
"""

from __future__ import annotations

from collections.abc import Sequence

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.online.guard import Exam, Judgement
from sfm_depth_ros.training.online.paired import Change, mean_change, relative_changes

STAGES = (12, 24, 40)  # new snippets after which the models are compared
LARGEST_LOSS = 0.02  # relative, beyond chance


class DeploymentWatch:
    """Gathers the snippets after the newest deployment, up to the next comparison."""

    def __init__(self) -> None:
        # number of the first snippet admitted after the deployment; None = nothing is watched
        self.since: int | None = None
        self.stage = 0  # comparisons done

    def begin(self, buffer: ReplayBuffer) -> None:
        """A model was deployed now."""
        self.since, self.stage = buffer.next_serial, 0

    def end(self) -> None:
        """Nothing is watched any more."""
        self.since = None

    def due(self, buffer: ReplayBuffer, size: tuple[int, int] | None) -> list[Snippet]:
        """The new snippets, if there are enough of them for the next comparison."""
        if self.since is None or buffer.count_since(self.since) < STAGES[self.stage]:
            return []
        snippets = buffer.since(self.since, STAGES[-1])
        snippets = [snippet for snippet in snippets if snippet.target.shape[:2] == size]
        self.stage += 1
        if self.stage == len(STAGES):
            self.end()
        return snippets


def compare_on(
    snippets: Sequence[Snippet],
    deployed: NetworkPair,
    predecessor: NetworkPair,
    objective: ObjectiveConfig,
    device: str,
) -> Change | None:
    """Change of the error from the predecessor to the deployed model; None without numbers.

    Args:
        snippets: New to both, of one size.
        deployed: In eval mode.
        predecessor: In eval mode.
        objective: Weights of the photometric error.
        device: Where the networks are.
    """
    exam = Exam.of(snippets, [], device)
    new, old = (Judgement.of(model, exam, objective).errors for model in (deployed, predecessor))
    if not (new.is_finite and old.is_finite):
        return None
    return mean_change(relative_changes(new, old), exam.places)


def must_go_back(change: Change | None) -> bool:
    """Whether a loss is too large and no chance."""
    return change is not None and change.is_worse and change.mean > LARGEST_LOSS
