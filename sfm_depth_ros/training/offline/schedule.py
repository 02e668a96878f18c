# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Schedule of an offline run: learning rate, objective, and the networks that learn at a step.

Competitive Collaboration (Ranjan et al., CVPR 2019) trains depth and motion, then flow, then the
moderator between them, again and again, each with the others fixed. Before that the first two
learn alone, each from all pixels. DDVO (Wang et al., CVPR 2018) begins with the pose network's
motion alone: through a depth that knows nothing yet, alignment finds any motion.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from torch import nn

from sfm_depth_ros.config.schema import ObjectiveConfig, OfflineTrainingConfig
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.training.optimiser import cosine, warmed_up

# NimbleD (Luginov and Shahzad, ECCV Workshops 2024): the photometric weight is .9, and .95 from
# epoch 15 of 20 on; the teacher's is what is missing to 1
LATE, LATE_TEACHER_SHARE = 0.75, (0.05 / 0.95) / (0.1 / 0.9)
BOOTSTRAP_SHARE = 0.4  # of the training


@dataclass(frozen=True)
class Schedule:
    """Learning rate and kind of a step, by steps or by the clock."""

    config: OfflineTrainingConfig

    def share_done(self, step: int, seconds: float) -> float:
        """Share of the run: by steps, or by the clock where that is further."""
        by_steps = step / self.config.steps
        if not self.config.max_minutes:
            return by_steps
        return max(by_steps, seconds / (60 * self.config.max_minutes))

    def rate_share(self, step: int, seconds: float) -> float:
        """Share of the highest learning rate: it rises, then falls as a cosine."""
        rising = warmed_up(step, self.config.warmup_steps)
        return rising * cosine(self.share_done(step, seconds), self.config.final_rate_share)

    def is_photometric(self, step: int, batch: SnippetBatch) -> bool:
        """Every n-th step is, and every one whose snippets have no truth to learn from."""
        every = self.config.self_supervised_every
        return batch.depth is None or (every > 0 and step % every == 0)


def objective_at(objective: ObjectiveConfig, share_done: float) -> ObjectiveConfig:
    """The objective at a share of the run: late in it a teacher weighs less."""
    if objective.teacher_weight == 0 or share_done < LATE:
        return objective
    return replace(objective, teacher_weight=objective.teacher_weight * LATE_TEACHER_SHARE)


@dataclass(frozen=True)
class Phase:
    """The networks that learn at a step."""

    name: str
    learners: tuple[str, ...] = ()  # Names of the networks that learn; empty = all of them
    # Whether neither the moderator's mask nor direct alignment is used yet
    is_bootstrap: bool = False

    @contextmanager
    def only_learners(self, networks: nn.Module) -> Iterator[None]:
        """Keep the other networks' parameters out of the gradient while the step is computed.

        Args:
            networks: All networks; learners are submodules by their dotted names.
        """
        if not self.learners:
            yield
            return
        learning = [networks.get_submodule(name) for name in self.learners]
        kept = {id(p) for module in learning for p in module.parameters()}
        fixed = [p for p in networks.parameters() if p.requires_grad and id(p) not in kept]
        for parameter in fixed:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in fixed:
                parameter.requires_grad_(True)


TOGETHER = Phase("together")
BOOTSTRAP = Phase("bootstrap", is_bootstrap=True)
CYCLE = (
    Phase("depth_and_motion", ("depth", "pose")),
    Phase("flow", ("companions.flow",)),
    Phase("moderator", ("companions.moderator",)),
)


def phase_of(step: int, share_done: float, phase_steps: int, objective: ObjectiveConfig) -> Phase:
    """The phase of a step.

    Args:
        step: Number of the step.
        share_done: Share of the training that is done.
        phase_steps: Steps of a phase of the cycle; 0 = all networks learn together.
        objective: Whether it aligns.
    """
    has_bootstrap = phase_steps > 0 or objective.direct_alignment != "off"
    if has_bootstrap and share_done < BOOTSTRAP_SHARE:
        return BOOTSTRAP
    return CYCLE[step // phase_steps % len(CYCLE)] if phase_steps else TOGETHER
