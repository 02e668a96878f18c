# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loop of the online trainer, one piece of work at a time; without threads."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfm_depth_ros.config.schema import ObjectiveConfig, OnlineTrainingConfig
from sfm_depth_ros.errors import TrainingError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.snippets.batch import SnippetBatch, collate, collate_in_batches
from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.floor_witness import floor_factor
from sfm_depth_ros.training.network_pair import NetworkPair, networks_of
from sfm_depth_ros.training.online.deployed_models import DeployedModels, ModelFacts
from sfm_depth_ros.training.online.deployment import MOST, HeldOutComparison
from sfm_depth_ros.training.online.learner import OnlineLearner
from sfm_depth_ros.training.online.memory import Rehearsal, World, draw_snippets
from sfm_depth_ros.training.online.metres import (
    MetreTrust,
    ScaleDecision,
    Stretch,
    trusted_within,
)
from sfm_depth_ros.training.online.status import CALIBRATING, TRAINING, VALIDATING
from sfm_depth_ros.training.scale_calibration import (
    measure_scale,
    measure_widely,
)

CALIBRATION_SNIPPETS, CORRECTION_SNIPPETS = 24, 16
CHECKED_SNIPPETS = 12  # the newest, before each validation and while metres are in doubt
WORSE = 1.1  # times the deployed model's held-out error: no scale of such weights is corrected
REFUSED_IN_A_ROW = 5  # steps without a finite gradient that mean divergence
SMALLEST_RATE = 1 / 64  # share of the learning rate after which training gives up
RENDER_EVERY = 6  # steps between two missing rendered snippets
REFRESH_EVERY = 24  # steps between two that replace old ones
BATCH = 8

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainerParts:
    """Parts of the online trainer."""

    training: OnlineTrainingConfig  # Pace, memory, mixture
    objective: ObjectiveConfig  # Weights of the loss terms
    folder: ModelFolder  # Model to begin with
    work_dir: Path  # Folder for buffer, rendered snippets and state
    # Called as `save(depth_network, pose_network, metadata=..., parent=...)`; writes a model
    # folder
    save: Callable[..., ModelFolder]
    # Called with every new folder that depth should run with
    deploy: Callable[[ModelFolder], None]
    # From the camera of the network's image to the world of rehearsal; None = no rehearsal
    make_world: Callable[[Intrinsics], World] | None = None
    # Pose of the camera in a base frame on the floor, `(4, 4)`; None as a value = not known
    mounting: Callable[[], np.ndarray | None] | None = None


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
        note: The newest event worth telling.
        comparison: Newest comparison on held-out snippets.
        doubt: Why the newest metres are not believed; while it is there, nothing is learnt.
        hold: Why the inputs allow no step and no deployment at present, empty while they do.
        phase: `training`, `calibrating` or `validating`.
        deployed_at: When a model was deployed last, on the monotonic clock.
        received: Good snippets received since the start.
        rollbacks: Times that weights went back.
        is_calibrated: Whether both scales were measured for this camera.
        size: ``(height, width)`` of the newest snippet, None before the first.
    """

    def __init__(self, parts: TrainerParts, buffer: ReplayBuffer) -> None:
        self.parts, self.buffer = parts, buffer
        networks = networks_of(parts.folder).to(parts.training.device).eval()
        self.deployment = DeployedModels(parts.folder, networks, parts.save, parts.deploy)
        self.learner = OnlineLearner(networks, parts.training, parts.objective)
        self.good = copy.deepcopy(networks)
        self.comparison = HeldOutComparison()
        self.stopped = self.note = self.doubt = self.hold = ""
        self.phase, self.deployed_at = TRAINING, -math.inf
        self._metres = MetreTrust()
        self._believed_serial = buffer.next_serial  # snippets before it had believed metres
        self._checked_at = 0  # snippets received at the newest check of metres
        self.received = self.rollbacks = 0
        self.is_calibrated = not parts.training.calibrate_scale
        self.size: tuple[int, int] | None = None
        self._intrinsics: Intrinsics | None = None
        self._steps_here = 0
        self._durations: deque[float] = deque(maxlen=50)
        self._rng = np.random.default_rng(parts.training.seed)
        self._rehearsal: Rehearsal | None = None

    @property
    def step_ms(self) -> float:
        """Recent median duration of a step."""
        return 1000 * float(np.median(self._durations)) if self._durations else 0.0

    def take(self, snippet: Snippet) -> None:
        """Note a good snippet; another image size means another camera."""
        self.received += 1
        height, width = snippet.target.shape[:2]
        if self.size != (height, width):
            self.size = height, width
            self.is_calibrated = not self.learner.training.calibrate_scale
            self.doubt, self._metres = "", MetreTrust()
        known = self._intrinsics
        if known is None or not snippet.intrinsics.is_close(known):  # autofocus is no new camera
            self._intrinsics, self._rehearsal = snippet.intrinsics, None

    def why_waiting(self) -> str:
        """Reason why there is nothing to learn from at present, or an empty string."""
        config, have = self.learner.training, len(self.buffer)
        if have < config.min_snippets or self.size is None:
            return f"{have} of {config.min_snippets} snippets"
        if self.doubt and self.received - self._checked_at < CHECKED_SNIPPETS:
            return self.doubt
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
        if self.hold or self.why_waiting():
            return self._render_missing()
        if self._judges_missing():
            return self._render_missing()
        if self.doubt or not self.is_calibrated:
            if self._earn_metres():
                self.validate()
            return True
        self._rehearse()
        self._step()
        if self.learner.refused_in_a_row >= REFUSED_IN_A_ROW:
            self._go_back(f"{REFUSED_IN_A_ROW} steps in a row had no finite gradient")
        elif self._steps_here % self.learner.training.validate_every == 0 and self._earn_metres():
            self._correct_scale()
            self.validate()
        return True

    def accept_scale(self) -> str:
        """Apply the measured factors that wait for a person's word, and judge the result.

        Raises:
            TrainingError: No factors wait.
        """
        decision = self._metres.accept()
        if decision is None:
            raise TrainingError("no measured scale waits to be accepted; see the status")
        self._believe("accepted", decision)
        self.good.load_state_dict(self.learner.average.network.state_dict())
        told = self.note
        self.validate()
        return told

    def _earn_metres(self) -> bool:
        """Measure both scales on the newest snippets; small factors of a new camera are applied.

        Returns:
            Whether the metres are believed; otherwise ``doubt`` has the reason.
        """
        if not self.learner.training.calibrate_scale:
            return True
        self.phase, self._checked_at = CALIBRATING, self.received
        is_first = not self.is_calibrated
        snippets = self._fitting(
            self.buffer.newest(
                CALIBRATION_SNIPPETS if is_first and not self.doubt else CHECKED_SNIPPETS
            )
        )
        decision = self._metres.decide(self._measured(snippets), is_first)
        self.phase = TRAINING
        if decision.doubt:
            self._doubt(decision.doubt)
            return False
        if self.doubt and not is_first:  # what was learnt meanwhile is of doubted metres
            self._restart(self.good, self.learner.rate_factor)
        self._forget_doubted(len(snippets))
        self._believe("measured", decision)
        self._believed_serial = self.buffer.next_serial
        return True

    def _measured(self, snippets: list[Snippet]) -> Stretch:
        """Scales of the last good weights on snippets, newest first."""
        batches, objective = self._batches(snippets), self.learner.objective
        found = measure_widely(self.good.depth, self.good.pose, batches, objective)
        T_base_camera = self.parts.mounting() if self.parts.mounting else None
        floor = math.nan
        if T_base_camera is not None:
            floor = floor_factor(self.good.depth, batches, T_base_camera)
        stamps = [int(stamp) for snippet in snippets for stamp in snippet.stamps_ns] or [0]
        return Stretch(found, len(self.buffer), min(stamps), max(stamps), floor)

    def _doubt(self, reason: str) -> None:
        if not self.doubt:
            self._tell("%s", reason)
        self.doubt = reason

    def _believe(self, what: str, decision: ScaleDecision) -> None:
        self.is_calibrated, self.doubt = True, ""
        self._believed_serial = self.buffer.next_serial
        self._scale_by(what, decision.depth, decision.translation)
        if decision.remark:
            self._tell("%s", decision.remark)

    def _forget_doubted(self, good: int) -> None:
        """Snippets of a doubted stretch leave both roles; the ``good`` newest stay."""
        if not self.doubt:
            return
        count = self.buffer.forget(self._believed_serial, self.buffer.serial_of_newest(good))
        self.doubt = ""
        self._tell("metres are believed again; %d snippets of doubtful ones removed", count)

    def validate(self) -> None:
        """Judge the averaged weights on held-out snippets; deploy them if they are better."""
        average, learner = self.learner.average.network, self.learner
        self.phase = VALIDATING
        verdict = self.comparison.compare(
            average,
            self.deployment,
            self._fitting(self.buffer.holdout(MOST)),
            self._opened_rehearsal(),
            (learner.training, learner.objective),
        )
        self.phase = TRAINING
        _logger.info("step %d: %s", learner.steps, verdict.reason)
        if verdict.has_exploded:
            self._go_back(verdict.reason)
            return
        self.good.load_state_dict(average.state_dict())
        if verdict.is_accepted and not self.hold:
            self.deploy()

    def deploy(self) -> ModelFolder:
        """Save the averaged weights as a model folder and hand it over."""
        folder = self.deployment.deploy(self.learner.average.network, self._facts())
        self.deployed_at = time.monotonic()
        self._tell("deployed %s", folder.model_id)
        return folder

    def rollback(self) -> str:
        """Go back to the model before the deployed one, or to the deployed one's weights."""
        is_older = self.deployment.go_back(self._facts())
        self.rollbacks += 1
        self._restart(self.deployment.networks)
        what = "the model before" if is_older else "the deployed weights"
        self._tell("back to %s, %s", what, self.deployment.folder.model_id)
        return self.note

    def reset(self) -> str:
        """Forget all snippets and all that was learnt since the start."""
        self.deployment.go_to_origin(self._facts())
        self.buffer.clear()
        self.received = self._steps_here = self.learner.steps = 0
        self.doubt, self._metres, self._believed_serial = "", MetreTrust(), self.buffer.next_serial
        self._checked_at = 0
        self.stopped, self.is_calibrated = "", not self.learner.training.calibrate_scale
        self._restart(self.deployment.origin)
        self._tell("training begins anew from %s", self.parts.folder.model_id)
        return self.note

    def _step(self) -> None:
        begin = time.perf_counter()
        assert self.size is not None  # why_waiting sees to it
        draw = draw_snippets(
            self.buffer, self._rehearsal, self.learner.training, self._rng, self.size
        )
        if draw.live:
            self.learner.step(collate([*draw.live, *draw.rendered]), len(draw.live))
        self._steps_here += 1
        self._durations.append(time.perf_counter() - begin)

    def _rehearse(self) -> None:
        """Render a little now and then, so that training is not held up."""
        if self._steps_here % RENDER_EVERY or self._render_missing():
            return
        if self._rehearsal is not None and self._steps_here % REFRESH_EVERY == 0:
            self._rehearsal.refresh()

    def _render_missing(self) -> bool:
        """Render a rehearsal snippet if one is missing."""
        rehearsal = self._opened_rehearsal()
        return rehearsal is not None and rehearsal.prepare()

    def _opened_rehearsal(self) -> Rehearsal | None:
        """The rehearsal of the present camera; None without one, or before the first snippet."""
        make, share = self.parts.make_world, self.learner.training.synthetic_share
        if make is None or share == 0 or self.size is None or self._intrinsics is None:
            return None
        if self._rehearsal is None:
            folder = self.parts.work_dir / "rehearsal"
            seed = self.learner.training.seed
            self._rehearsal = Rehearsal(folder, self.size, make(self._intrinsics), seed)
        return self._rehearsal

    def _judges_missing(self) -> bool:
        """Whether held-out rendered snippets are missing; they come before the first step."""
        rehearsal = self._opened_rehearsal()
        return rehearsal is not None and rehearsal.held_out_missing > 0

    def _correct_scale(self) -> None:
        """Take back a small bias of scale over all that the buffer remembers."""
        before, after = self.comparison.before, self.comparison.after
        if not self.learner.training.calibrate_scale:
            return
        if before and after and not after.total <= WORSE * before.total:
            return  # weights that have just got worse
        average = self.learner.average.network
        snippets = self.buffer.sample(CORRECTION_SNIPPETS, self._rng)
        found = measure_scale(
            average.depth, average.pose, self._batches(snippets), self.learner.objective
        )
        if math.isfinite(found.photometric) and not found.is_at_limit:
            count = len(self.buffer)
            factors = (found.depth_factor, found.translation_factor)
            self._scale_by("corrected", *(trusted_within(factor, count) for factor in factors))

    def _scale_by(self, what: str, depth: float, translation: float) -> None:
        if (depth, translation) != (1.0, 1.0):
            self.learner.scale(depth, translation)
            self._metres.note_applied(depth, translation)
            self._tell(f"scales {what}: depth x %.3f, translation x %.3f", depth, translation)

    def _fitting(self, snippets: list[Snippet]) -> list[Snippet]:
        return [snippet for snippet in snippets if snippet.target.shape[:2] == self.size]

    def _batches(self, snippets: list[Snippet]) -> list[SnippetBatch]:
        batches = collate_in_batches(self._fitting(snippets), BATCH)
        return [batch.to(self.learner.training.device) for batch in batches]

    def _facts(self) -> ModelFacts:
        width = self.size[1] if self.size else self.deployment.folder.width
        after = self.comparison.after
        metrics = after.as_floats() if after else {}
        return ModelFacts(self.learner.steps, width, metrics)

    def _restart(self, networks: NetworkPair, rate_factor: float = 1.0) -> None:
        self.learner.restart_from(networks, rate_factor)
        self.good.load_state_dict(networks.state_dict())

    def _go_back(self, reason: str) -> None:
        """Take the last good weights back and learn half as fast."""
        self.rollbacks += 1
        rate = self.learner.rate_factor / 2
        self.learner.restart_from(self.good, rate)
        self._tell("went back to the last good weights: %s", reason)
        if rate < SMALLEST_RATE:
            self.stopped = f"training diverges again and again ({reason}); call ~/reset"

    def _tell(self, message: str, *values: object) -> None:
        self.note = message % values
        _logger.info("step %d: %s", self.learner.steps, self.note)
