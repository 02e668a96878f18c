# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The online trainer: a worker thread with a queue of requests, its status and its saved state."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event, Thread
from typing import TypeVar

import torch

from sfm_depth_ros.config.schema import ObjectiveConfig, OnlineTrainingConfig
from sfm_depth_ros.errors import SfmDepthError, TrainingError
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.online.admission import Admission
from sfm_depth_ros.training.online.loop import OnlineLoop
from sfm_depth_ros.training.online.pace import rest_s
from sfm_depth_ros.training.online.parts import TrainerParts
from sfm_depth_ros.training.online.requests import Requests
from sfm_depth_ros.training.online.saved_state import restore_state, store_state
from sfm_depth_ros.training.online.status import (
    COLLECTING,
    DEPLOYED,
    GATED,
    PAUSED,
    REFUSED,
    STANDING,
    STOPPED,
    WAITING_FOR_CAMERA,
    WAITING_FOR_VELOCITY,
    InputReport,
    TrainerStatus,
)

IDLE_S = 0.1  # between two looks for work
SAVE_EVERY_S = 30.0
RETRY_S = 5.0  # after a full disk or a folder that is gone
DEPLOYED_S = 5.0  # that a deployment is the state

_Result = TypeVar("_Result")
_logger = logging.getLogger(__name__)


class OnlineTrainer:
    """Learns from a stream of snippets in a thread of its own.

    Whatever goes wrong in the thread pauses training with a reason; nothing is raised into the
    caller's threads, except as the outcome of a request.

    Args:
        parts: Configuration, model to begin with, and what saves and hands over models.
    """

    def __init__(self, parts: TrainerParts) -> None:
        training = parts.training
        folder = parts.work_dir / "buffer"
        buffer = ReplayBuffer(
            folder,
            training.buffer_size,
            int(training.buffer_gib * 2**30),
            training.holdout_share,
            training.seed,
        )
        self._loop = OnlineLoop(parts, buffer)
        self._state_dir = parts.work_dir / "trainer_state"
        restore_state(self._loop, self._state_dir)
        self._admission = Admission()
        self._inputs = InputReport("nothing received yet", "camera")
        self._paused, self._trouble, self._retry_at = "", "", 0.0
        self._requests = Requests()
        self._stopping = Event()
        self._thread: Thread | None = None
        self._saved_at, self._saved = time.monotonic(), self._version()

    @property
    def deployed(self) -> NetworkPair:
        """The deployed weights, in eval mode."""
        return self._loop.deployment.networks

    def start(self) -> None:
        """Begin to work, after the step that a stop did not wait for."""
        if self._thread is None or self._stopping.is_set():
            before, self._stopping = self._thread, Event()
            self._thread = Thread(target=self._work, args=(self._stopping, before), daemon=True)
            self._thread.start()

    def stop(self, timeout: float | None = 1.5) -> bool:
        """End the thread and save the state.

        Returns:
            Whether it ended in time; if not, the state saved last is what a restart finds.
        """
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    def add_snippet(self, snippet: Snippet) -> bool:
        """Take a snippet into the buffer; while training is paused, none is taken.

        Returns:
            Whether it was kept; the reason of a refusal is counted in the status.
        """
        is_trusted = self._loop.calibration.is_trusted
        admitted = self._admission.admitted(snippet, self._why_refused(), is_trusted)
        self._set_hold()
        if admitted is None:
            return False
        try:
            is_kept = self._loop.buffer.add(admitted)
        except TrainingError as error:
            self._note_trouble(str(error))
            self._admission.refused["disk"] += 1
            return False
        self._trouble = ""
        self._loop.take(snippet)
        return is_kept

    def set_inputs(self, report: InputReport) -> None:
        """Set the state of the inputs: while a gate refuses or the camera stands, training rests.

        Called about once a second.
        """
        self._inputs = report
        self._set_hold()

    def _set_hold(self) -> None:
        standing = STANDING if self._inputs.is_standing else ""
        self._loop.hold = self._inputs.gated or self._admission.slipping or standing

    def set_training(self, is_on: bool) -> str:
        """Pause training, or go on; returns the new state in words."""
        self._paused = "" if is_on else "by request"
        return "training goes on" if is_on else "training is paused"

    def save_model(self) -> Future[ModelFolder]:
        """Save the current weights and deploy them, bypassing the guard."""
        return self._request(self._loop.deploy)

    def rollback(self) -> Future[str]:
        """Go back to the model before the deployed one."""
        return self._request(self._loop.rollback)

    def accept_scale(self) -> Future[str]:
        """Apply measured scales that wait for a person's word; a TrainingError if none do."""
        return self._request(self._loop.accept_scale)

    def reset(self) -> Future[str]:
        """Forget the buffer and everything learnt since the start."""
        return self._request(self._loop.reset)

    def configure(self, training: OnlineTrainingConfig, objective: ObjectiveConfig) -> None:
        """Use other rates and weights from the next step on."""
        self._loop.learner.training, self._loop.learner.objective = training, objective

    def status(self) -> TrainerStatus:
        """A snapshot for people and diagnostics."""
        loop, learner = self._loop, self._loop.learner
        state, reason = self._state()
        return TrainerStatus(
            state=state,
            reason=reason,
            steps=learner.steps,
            step_ms=loop.pace.step_ms,
            core_got=loop.pace.core_got,
            next_validation_s=loop.next_validation_s,
            advice=loop.pace.advice(learner.training),
            history=tuple(loop.deployment.history),
            learning_rate=learner.learning_rate,
            terms=learner.terms,
            snippets=loop.received,
            buffer=len(loop.buffer),
            held_out=loop.buffer.holdout_count,
            refusals={**self._admission.refused, **loop.buffer.refused},
            steps_refused=learner.refused,
            rollbacks=loop.rollbacks,
            validation_before=loop.comparison.before,
            validation_after=loop.comparison.after,
            verdict=loop.comparison.reason,
            note=loop.note,
            models_deployed=loop.deployment.count,
            deployed_model=loop.deployment.folder.model_id,
        )

    def _state(self) -> tuple[str, str]:
        loop, inputs = self._loop, self._inputs
        if loop.stopped:
            return STOPPED, loop.stopped
        if self._paused or self._trouble:
            return PAUSED, self._paused or self._trouble
        if inputs.gated:
            return GATED, inputs.gated
        if inputs.is_standing:
            return STANDING, "the camera does not move"
        if self._admission.slipping:
            return GATED, self._admission.slipping
        waiting = loop.why_waiting()
        if not waiting:
            return self._state_at_work()
        reason = "; ".join(filter(None, (waiting, inputs.missing)))
        if inputs.lacks == "camera":
            return WAITING_FOR_CAMERA, reason
        if inputs.lacks == "velocity":
            return WAITING_FOR_VELOCITY, reason
        return (REFUSED if loop.calibration.doubt else COLLECTING), reason

    def _state_at_work(self) -> tuple[str, str]:
        is_fresh = time.monotonic() - self._loop.deployed_at < DEPLOYED_S
        return (DEPLOYED if is_fresh else self._loop.phase), self._loop.note

    def _why_refused(self) -> str:
        """Reason why no snippet is taken at present, or an empty string."""
        if self._paused:
            return "paused"
        if self._inputs.gated:
            return "gated"
        return "disk" if self._is_resting() else ""

    def _is_resting(self) -> bool:
        """Whether trouble with a disk was too recent for another try."""
        return bool(self._trouble) and time.monotonic() < self._retry_at

    def _note_trouble(self, reason: str) -> None:
        """Rest for a while; whatever works again ends the trouble."""
        if not self._trouble:
            _logger.error("training rests, and tries again every %g s: %s", RETRY_S, reason)
        self._trouble, self._retry_at = reason, time.monotonic() + RETRY_S

    def _pause(self, reason: str) -> None:
        if reason != self._paused:
            _logger.error("training is paused: %s", reason)
        self._paused = reason

    def _request(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Have the worker do something after its step of seconds; without one, do it at once."""
        if self._thread is not None and not self._stopping.is_set():
            return self._requests.put(work)
        self.stop(timeout=None)  # a step may be in progress
        result = self._requests.put(work)
        self._requests.do_next()
        return result

    def _work(self, stopping: Event, before: Thread | None) -> None:
        if before is not None:
            before.join()  # one at a time: both would change the same weights
        torch.set_num_threads(self._loop.learner.training.threads)
        while not stopping.is_set():
            wall, cpu = time.perf_counter(), time.thread_time()
            is_busy = self._work_once()
            wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
            pause = rest_s(wall, cpu, self._loop.learner.training)
            stopping.wait(pause if is_busy else max(pause, IDLE_S))
        self._requests.refuse_all("training was stopped before that; try again")
        self._save_state()

    def _work_once(self) -> bool:
        """Do one piece of work; an error ends training, not the thread."""
        try:
            while self._requests.do_next():  # no two deployments between two saves
                self._save_if_due()
            may_work = not self._paused and not self._is_resting()
            is_busy = may_work and self._loop.advance()
            if is_busy:
                self._trouble = ""
            self._save_if_due()
            return is_busy
        except SfmDepthError as error:
            self._note_trouble(str(error))
        except Exception as error:  # a bug: logged in full, and no reason to take the node down
            _logger.exception("training failed")
            self._pause(f"internal error: {error!r}")
        return False

    def _version(self) -> tuple[int, str]:
        """Changes with every step and every deployment."""
        return self._loop.learner.steps, self._loop.deployment.folder.model_id

    def _save_if_due(self) -> None:
        """Save the state after a deployment, and after a while."""
        is_deployed = self._version()[1] != self._saved[1]
        if is_deployed or time.monotonic() - self._saved_at > SAVE_EVERY_S:
            self._save_state()

    def _save_state(self) -> None:
        self._saved_at = time.monotonic()
        version = self._version()
        if version == self._saved:
            return
        try:
            store_state(self._loop, self._state_dir)
            self._saved = version
        except TrainingError as error:
            self._note_trouble(str(error))
