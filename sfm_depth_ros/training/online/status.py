# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Status of the online trainer: state, reason, and every number behind them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # needs torch; what shows a status does not
    from sfm_depth_ros.training.online.deployed_models import Deployment
    from sfm_depth_ros.training.online.guard import HeldOutError

WAITING_FOR_CAMERA, WAITING_FOR_VELOCITY = "waiting_for_camera", "waiting_for_velocity"
STANDING, COLLECTING, CALIBRATING = "standing", "collecting", "calibrating"
TRAINING, VALIDATING, DEPLOYED = "training", "validating", "deployed"
PAUSED, GATED, REFUSED, STOPPED = "paused", "gated", "refused", "stopped"
AT_WORK = (CALIBRATING, TRAINING, VALIDATING, DEPLOYED)


@dataclass(frozen=True)
class InputReport:
    """State of the trainer's inputs, for people and for what may be learnt."""

    missing: str = ""  # What is missing, as a sentence
    lacks: str = ""  # `camera`, `velocity`, or empty
    gated: str = ""  # Reason that a gate has had for longer than a moment
    is_standing: bool = False  # Whether the camera has stood still for longer than a moment


@dataclass(frozen=True)
class TrainerStatus:
    """A snapshot of the online trainer."""

    # `waiting_for_camera`, `waiting_for_velocity`, `standing`, `collecting`, `calibrating`,
    # `training`, `validating`, `deployed`, `paused`, `gated`, `refused` or `stopped`
    state: str
    reason: str  # Why, as a sentence
    steps: int = 0  # Steps taken
    step_ms: float = 0.0  # Duration of a step, recent median; 0 before the first
    core_got: float = 1.0  # Share of a core that steps get while they run, recent median
    next_validation_s: float = 0.0  # Seconds to the next validation at the present pace
    advice: str = ""  # What would make training faster
    learning_rate: float = 0.0  # Of the next step
    terms: dict[str, float] = field(default_factory=dict)  # Loss terms of the newest step, by name
    snippets: int = 0  # Snippets received and good
    buffer: int = 0  # Snippets in the buffer that are trained on
    held_out: int = 0  # Snippets held out
    # How many snippets were refused, by reason
    refusals: dict[str, int] = field(default_factory=dict)
    steps_refused: int = 0  # Steps refused because loss or gradient was not finite
    rollbacks: int = 0  # Times that weights went back after divergence or by request
    # Held-out error of the deployed model, None before the first
    validation_before: HeldOutError | None = None
    # Held-out error of the newest weights on the same snippets
    validation_after: HeldOutError | None = None
    verdict: str = ""  # Decision about them, with its reason
    note: str = ""  # Newest event: calibration, correction, deployment, rollback
    history: tuple[Deployment, ...] = ()  # The newest deployments with their reasons, oldest first
    models_deployed: int = 0  # Models handed over since the start
    deployed_model: str = ""  # Id of the model that depth runs with, as far as the trainer knows

    @property
    def is_at_work(self) -> bool:
        """Whether the trainer learns, or does what belongs to it."""
        return self.state in AT_WORK

    @property
    def depth_scale_ratio(self) -> float | None:
        """Depth scale of the newest weights on held-out snippets, from images and odometer."""
        after = self.validation_after
        return _known(after.depth_scale_ratio) if after else None

    @property
    def translation_scale_ratio(self) -> float | None:
        """Translation scale of the newest weights on held-out snippets, against the odometer."""
        after = self.validation_after
        return _known(after.translation_scale_ratio) if after else None

    def as_facts(self) -> dict[str, str | float | int]:
        """Flat names and values, for diagnostics and logs; unknown ones are left out."""
        facts: dict[str, str | float | int] = {
            "state": self.state,
            "reason": self.reason,
            "steps": self.steps,
            "step_ms": self.step_ms,
            "core_got": self.core_got,
            "next_validation_s": self.next_validation_s,
            "advice": self.advice,
            "learning_rate": self.learning_rate,
            **{f"loss.{name}": value for name, value in self.terms.items()},
            "snippets": self.snippets,
            "buffer": self.buffer,
            "held_out": self.held_out,
            **{f"refused.{name}": count for name, count in self.refusals.items()},
            "steps_refused": self.steps_refused,
            "rollbacks": self.rollbacks,
            "verdict": self.verdict,
            "note": self.note,
            "models_deployed": self.models_deployed,
            "deployed_model": self.deployed_model,
        }
        for number, entry in enumerate(reversed(self.history)):
            facts[f"history.{number}"] = f"{entry.utc} {entry.model_id}: {entry.reason}"
        for name, ratio in (
            ("depth_scale_ratio", self.depth_scale_ratio),
            ("translation_scale_ratio", self.translation_scale_ratio),
        ):
            if ratio is not None:
                facts[name] = ratio
        for when, error in (("before", self.validation_before), ("after", self.validation_after)):
            if error is not None:
                facts |= {f"validation_{when}.{k}": v for k, v in error.as_floats().items()}
        return facts


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
