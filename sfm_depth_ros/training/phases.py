# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Phases of training: which networks learn at a step, and what is used that needs others' help.

Competitive Collaboration (Ranjan et al., CVPR 2019) trains depth and motion, then flow, then the
moderator between them, again and again, each with the others fixed. Before that the first two
learn alone, each from all pixels. DDVO (Wang et al., CVPR 2018) begins with the pose network's
motion alone: through a depth that knows nothing yet, alignment finds any motion.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn

from sfm_depth_ros.config.schema import ObjectiveConfig

BOOTSTRAP_SHARE = 0.4  # of the training


@dataclass(frozen=True)
class Phase:
    """What learns at a step."""

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
