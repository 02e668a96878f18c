# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loop of the online trainer, one piece of work at a time; without threads."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.snippets.batch import collate
from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.network_pair import NetworkPair, networks_of
from sfm_depth_ros.training.online.calibration import Calibration, of_size
from sfm_depth_ros.training.online.comparison import HeldOutComparison
from sfm_depth_ros.training.online.deployed_models import DeployedModels, ModelFacts
from sfm_depth_ros.training.online.guard import MOST
from sfm_depth_ros.training.online.learner import OnlineLearner
from sfm_depth_ros.training.online.memory import draw_snippets
from sfm_depth_ros.training.online.pace import Pace
from sfm_depth_ros.training.online.parts import TrainerParts
from sfm_depth_ros.training.online.rehearsal import CameraRehearsal
from sfm_depth_ros.training.online.status import CALIBRATING, TRAINING, VALIDATING
from sfm_depth_ros.training.online.watch import DeploymentWatch, compare_on, must_go_back

WORSE = 1.1  # times the deployed model's held-out error: no scale of such weights is corrected
REFUSED_IN_A_ROW = 5  # steps without a finite gradient that mean divergence
SMALLEST_RATE = 1 / 64  # share of the learning rate after which training gives up

_logger = logging.getLogger(__name__)


class OnlineLoop:
    """Learner, deployed model, guard and rehearsal, advanced step by step by one thread.

    Args:
        parts: What it is made of.
        buffer: The camera's snippets.

    Attributes:
        learner: Weights in training.
        deployment: The deployed model and those before it.
        good: The last weights that did not diverge.
        stopped: Why training is over, empty while it is not.
        note: The newest event, for the status.
        comparison: Newest comparison on held-out snippets.
        watch: Comparison of the deployed model with its predecessor on new snippets.
        calibration: Keeps both metric scales.
        pace: Durations of steps.
        rehearsal: Rendered snippets through the present camera.
        hold: Why the inputs allow no step and no deployment at present, empty while they do.
        phase: `training`, `calibrating` or `validating`.
        deployed_at: When a model was deployed last, on the monotonic clock.
        received: Good snippets received since the start.
        rollbacks: Times that weights went back.
        size: ``(height, width)`` of the newest snippet, None before the first.
    """

    def __init__(self, parts: TrainerParts, buffer: ReplayBuffer) -> None:
        self.parts, self.buffer = parts, buffer
        networks = networks_of(parts.folder).to(parts.training.device).eval()
        self.deployment = DeployedModels(parts.folder, networks, parts.save, parts.deploy)
        self.learner = OnlineLearner(networks, parts.training, parts.objective)
        self.good = copy.deepcopy(networks)
        self.comparison, self.watch = HeldOutComparison(), DeploymentWatch()
        self.stopped = self.note = self.hold = ""
        self.phase, self.deployed_at = TRAINING, -math.inf
        self.calibration = Calibration(parts, buffer, self.learner, self.good, self._note)
        self.rehearsal = CameraRehearsal(
            parts.work_dir / "rehearsal",
            parts.make_world if parts.training.synthetic_share > 0 else None,
            parts.training.seed,
        )
        self.received = self.rollbacks = 0
        self.size: tuple[int, int] | None = None
        self._steps_here = 0
        self.pace = Pace()
        self._rng = np.random.default_rng(parts.training.seed)

    @property
    def next_validation_s(self) -> float:
        """Seconds to the next validation at the present pace; 0 before the first step."""
        config = self.learner.training
        steps = config.validate_every - self._steps_here % config.validate_every
        return steps * self.pace.period_s(config)

    def take(self, snippet: Snippet) -> None:
        """Note a good snippet; another image size means another camera."""
        self.received += 1
        height, width = snippet.target.shape[:2]
        if self.size != (height, width):
            self.size = height, width
            self.calibration.begin_anew()
        self.rehearsal.follow(snippet.intrinsics)

    def why_waiting(self) -> str:
        """Reason why there is nothing to learn from at present, or an empty string."""
        config, have = self.learner.training, len(self.buffer)
        if have < config.min_snippets or self.size is None:
            return f"{have} of {config.min_snippets} snippets"
        if not self.rehearsal.is_camera_known:
            return "for new snippets since the restart"
        if doubt := self.calibration.why_waiting(self.received):
            return doubt
        if self._steps_here >= config.max_steps_per_snippet * self.received:
            return f"for new snippets after {self._steps_here} steps on {self.received}"
        return ""

    def advance(self) -> bool:
        """Do the next piece of work.

        Returns:
            Whether there was something to do.

        Raises:
            SfmDepthError: A disk is full, or a model cannot be written.
        """
        if self.stopped:
            return False
        if self.hold or self.why_waiting() or self.rehearsal.judges_missing:
            return self.rehearsal.render_missing()
        opened, learner = self.rehearsal.opened, self.learner
        if opened is not None and not learner.is_first_model_known:
            learner.know_first_model(self.deployment.origin, opened.held_out())
        if self.calibration.doubt or not self.calibration.is_done:
            if self._earn_metres():
                self.validate()
            return True
        if new := self.watch.due(self.buffer, self.size):
            self._watch(new)
            return True
        self.rehearsal.render_beside(self._steps_here)
        self._step()
        if self.learner.refused_in_a_row >= REFUSED_IN_A_ROW:
            self._go_back(f"{REFUSED_IN_A_ROW} steps in a row had no finite gradient")
        elif self._steps_here % self.learner.training.validate_every == 0 and self._earn_metres():
            self._correct_scale()
            self.validate()
        return True

    def _earn_metres(self) -> bool:
        """Whether the metres of the newest snippets are believed."""
        assert self.size is not None  # why_waiting sees to it
        self.phase = CALIBRATING
        is_believed = self.calibration.earn(self.received, self.size)
        self.phase = TRAINING
        return is_believed

    def accept_scale(self) -> str:
        """Apply the measured factors that wait for a person's word, and judge the result.

        Raises:
            TrainingError: No factors wait.
        """
        self.calibration.accept()
        note = self.note
        self.validate()
        return note

    def validate(self) -> None:
        """Judge the averaged weights on held-out snippets; deploy them if they are better."""
        average, learner = self.learner.average.network, self.learner
        self.phase = VALIDATING
        verdict = self.comparison.compare(
            average,
            self.deployment,
            of_size(self.buffer.holdout(MOST), self.size),
            self.rehearsal.opened,
            (learner.training, learner.objective),
            float(learner.world()[0]),
        )
        self.phase = TRAINING
        _logger.info("step %d: %s", learner.steps, verdict.reason)
        if verdict.has_exploded:
            self._go_back(verdict.reason)
            return
        chosen, share = self.comparison.chosen, self.comparison.share
        if chosen is not None and share < 1:
            learner.step_back_to(chosen)
            self._note("%g %% of the learnt weights kept: more would lose elsewhere", 100 * share)
        self.good.load_state_dict(average.state_dict())
        if verdict.is_accepted and not self.hold:
            self.deploy(verdict.reason)

    def deploy(self, reason: str = "by request") -> ModelFolder:
        """Save the averaged weights as a model folder and hand it over.

        Args:
            reason: Why, for the history.
        """
        folder = self.deployment.deploy(self.learner.average.network, self._facts(reason))
        self.deployed_at = time.monotonic()
        self.watch.begin(self.buffer)
        self._note("deployed %s", folder.model_id)
        return folder

    def rollback(self, reason: str = "by request") -> str:
        """Go back to the model before the deployed one, or to the deployed one's weights.

        Args:
            reason: Why, for the history and for people.
        """
        is_older = self.deployment.go_back(self._facts(f"rollback {reason}"))
        self.rollbacks += 1
        self.watch.end()
        self._restart(self.deployment.networks)
        what = "the model before" if is_older else "the deployed weights"
        self._note("back to %s, %s, %s", what, self.deployment.folder.model_id, reason)
        return self.note

    def _watch(self, new: list[Snippet]) -> None:
        """Go back if the deployed model is worse on new snippets than its predecessor."""
        before, learner = self.deployment.predecessor(), self.learner
        if before is None:
            self.watch.end()
            return
        self.phase = VALIDATING
        deployed, device = self.deployment.networks, learner.training.device
        change = compare_on(new, deployed, before, learner.objective, device)
        self.phase = TRAINING
        _logger.info("step %d: deployed model on new snippets: %s", learner.steps, change)
        if must_go_back(change):
            self.rollback(f"as the error on new snippets had changed by {change}")

    def reset(self) -> str:
        """Forget all snippets and all that was learnt since the start."""
        self.deployment.go_to_origin(self._facts("reset by request"))
        self.watch.end()
        self.buffer.clear()
        self.received = self._steps_here = self.learner.steps = 0
        self.stopped = ""
        self.calibration.forget()
        self._restart(self.deployment.origin)
        self._note("training begins anew from %s", self.parts.folder.model_id)
        return self.note

    def _step(self) -> None:
        assert self.size is not None  # why_waiting sees to it
        rendered, training = self.rehearsal.opened, self.learner.training
        with self.pace.step():
            draw = draw_snippets(self.buffer, rendered, training, self._rng, self.size)
            if draw.live:
                self.learner.step(collate([*draw.live, *draw.rendered]), len(draw.live))
        self._steps_here += 1

    def _correct_scale(self) -> None:
        """Take back a small bias of scale, unless the weights have just got worse."""
        before, after = self.comparison.before, self.comparison.after
        if before and after and not after.total <= WORSE * before.total:
            return
        assert self.size is not None
        self.calibration.correct(self._rng, self.size)

    def values(self) -> dict[str, Any]:
        """Counts that a restarted process needs, for a file."""
        return {
            "size": self.size,
            "received": self.received,
            "steps_here": self._steps_here,
            "rollbacks": self.rollbacks,
            "watched_since": self.watch.since,
            "watch_stage": self.watch.stage,
        }

    def load(self, values: Mapping[str, Any]) -> None:
        """Take up the counts of a process before."""
        self.size = tuple(values["size"]) if values["size"] else None
        self.received, self._steps_here = int(values["received"]), int(values["steps_here"])
        self.rollbacks = int(values["rollbacks"])
        self.watch.since, self.watch.stage = values["watched_since"], int(values["watch_stage"])

    def _facts(self, reason: str) -> ModelFacts:
        width = self.size[1] if self.size else self.deployment.folder.width
        after = self.comparison.after
        metrics = after.as_floats() if after else {}
        return ModelFacts(self.learner.steps, width, metrics, reason)

    def _restart(self, networks: NetworkPair, rate_factor: float = 1.0) -> None:
        self.learner.restart_from(networks, rate_factor)
        self.good.load_state_dict(networks.state_dict())

    def _go_back(self, reason: str) -> None:
        """Take the last good weights back and learn half as fast."""
        self.rollbacks += 1
        rate = self.learner.rate_factor / 2
        self.learner.restart_from(self.good, rate)
        self._note("went back to the last good weights: %s", reason)
        if rate < SMALLEST_RATE:
            self.stopped = f"training diverges again and again ({reason}); call ~/reset"

    def _note(self, message: str, *values: object) -> None:
        self.note = message % values
        _logger.info("step %d: %s", self.learner.steps, self.note)
