# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metric scales of the networks in training: measured, earned, corrected, accepted by a person."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sfm_depth_ros.errors import TrainingError
from sfm_depth_ros.snippets.batch import SnippetBatch, collate_in_batches
from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.floor_witness import floor_factor
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.online.learner import OnlineLearner
from sfm_depth_ros.training.online.metres import (
    MetreTrust,
    ScaleDecision,
    Stretch,
    is_small,
    trusted_within,
)
from sfm_depth_ros.training.online.parts import TrainerParts
from sfm_depth_ros.training.scale_calibration import measure_scale, measure_widely

CALIBRATION_SNIPPETS, CORRECTION_SNIPPETS = 24, 16
CHECKED_SNIPPETS = 12  # the newest, before each validation and while metres are in doubt
BATCH = 8


class Calibration:
    """Keeps the metric scales of the networks in training to what odometer and images agree on.

    Args:
        parts: Of them, the configuration and the camera's mounting.
        buffer: The camera's snippets.
        learner: Its scales are changed.
        good: The last weights that did not diverge; these are measured.
        note: Called with a message and its values at every change.

    Attributes:
        is_done: Whether both scales were measured for this camera.
        doubt: Why the newest metres are not believed; while it is there, nothing is learnt.
    """

    def __init__(
        self,
        parts: TrainerParts,
        buffer: ReplayBuffer,
        learner: OnlineLearner,
        good: NetworkPair,
        note: Callable[..., None],
    ) -> None:
        self._parts, self._buffer, self._learner, self._good = parts, buffer, learner, good
        self._note = note
        self.forget()

    def begin_anew(self) -> None:
        """Another camera."""
        self.is_done = not self._learner.training.calibrate_scale
        self.doubt = ""
        self._metres = MetreTrust()

    def forget(self) -> None:
        """All snippets are forgotten."""
        self.begin_anew()
        self._believed_serial = self._buffer.next_serial  # snippets before it had believed metres
        self._checked_at = 0  # snippets received at the newest measurement

    @property
    def is_trusted(self) -> bool:
        """Whether metres were believed, and still are."""
        return self._learner.training.calibrate_scale and self.is_done and not self.doubt

    def values(self) -> dict[str, Any]:
        """State for a restarted process, as plain values."""
        return {
            "is_done": self.is_done,
            "doubt": self.doubt,
            "usual": self._metres.usual,
            "believed_serial": self._believed_serial,
            "checked_at": self._checked_at,
        }

    def load(self, values: Mapping[str, Any]) -> None:
        """Take up the values of a process before."""
        self.is_done, self.doubt = bool(values["is_done"]), str(values["doubt"])
        self._metres.usual = [(float(d), float(t)) for d, t in values["usual"]]
        self._believed_serial = int(values["believed_serial"])
        self._checked_at = int(values["checked_at"])

    def why_waiting(self, received: int) -> str:
        """The doubt, until enough new snippets are there to measure again."""
        return self.doubt if received - self._checked_at < CHECKED_SNIPPETS else ""

    def earn(self, received: int, size: tuple[int, int]) -> bool:
        """Measure both scales on the newest snippets; small factors of a new camera are applied.

        Args:
            received: Snippets received so far.
            size: ``(height, width)`` of those that count.

        Returns:
            Whether the metres are believed; otherwise ``doubt`` has the reason.
        """
        if not self._learner.training.calibrate_scale:
            return True
        self._checked_at = received
        is_first = not self.is_done
        count = CALIBRATION_SNIPPETS if is_first and not self.doubt else CHECKED_SNIPPETS
        snippets = of_size(self._buffer.newest(count), size)
        decision = self._metres.decide(self._measured(snippets), is_first)
        if decision.doubt:
            self._note_doubt(decision.doubt)
            return False
        if self.doubt and not is_first:  # what was learnt meanwhile is of doubted metres
            self._learner.restart_from(self._good, self._learner.rate_factor)
        self._forget_doubted(len(snippets))
        self._believe("measured", decision)
        return True

    def accept(self) -> None:
        """Apply the measured factors that wait for a person's word.

        Raises:
            TrainingError: No factors wait.
        """
        decision = self._metres.accept()
        if decision is None:
            raise TrainingError("no measured scale waits to be accepted; see the status")
        self._believe("accepted", decision)
        self._good.load_state_dict(self._learner.average.network.state_dict())

    def correct(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        """Take back a small bias of scale over all that the buffer remembers."""
        if not self._learner.training.calibrate_scale:
            return
        average = self._learner.average.network
        snippets = of_size(self._buffer.sample(CORRECTION_SNIPPETS, rng), size)
        found = measure_scale(
            average.depth, average.pose, self._batches(snippets), self._learner.objective
        )
        if math.isfinite(found.photometric) and not found.is_at_limit:
            count = len(self._buffer)
            # For depth a search is too weak, as are silhouettes of a scene without texture.
            landmarks = sum(s.landmarks is None or bool(s.landmarks.any()) for s in snippets)
            is_seen = 2 * min(found.triangulated, landmarks) >= len(snippets)
            factors = (found.depth_factor if is_seen else 1.0, found.translation_factor)
            self._scale_by("corrected", *(trusted_within(factor, count) for factor in factors))

    def _measured(self, snippets: list[Snippet]) -> Stretch:
        """Scales of the last good weights on snippets, newest first."""
        batches, mounting = self._batches(snippets), self._parts.mounting
        found = measure_widely(self._good.depth, self._good.pose, batches, self._learner.objective)
        T_base_camera = mounting() if mounting else None
        floor = math.nan
        if T_base_camera is not None:
            floor = floor_factor(self._good.depth, batches, T_base_camera)
        stamps = [int(stamp) for snippet in snippets for stamp in snippet.stamps_ns] or [0]
        return Stretch(found, len(self._buffer), min(stamps), max(stamps), floor)

    def _note_doubt(self, reason: str) -> None:
        if not self.doubt:
            self._note("%s", reason)
        self.doubt = reason

    def _believe(self, what: str, decision: ScaleDecision) -> None:
        self.is_done, self.doubt = True, ""
        self._believed_serial = self._buffer.next_serial
        self._scale_by(what, decision.depth, decision.translation)
        if decision.remark:
            self._note("%s", decision.remark)

    def _forget_doubted(self, good: int) -> None:
        """Snippets of a doubted stretch leave both roles; the ``good`` newest stay."""
        if not self.doubt:
            return
        buffer = self._buffer
        count = buffer.forget(self._believed_serial, buffer.serial_of_newest(good))
        self.doubt = ""
        self._note("metres are believed again; %d snippets of doubtful ones removed", count)

    def _scale_by(self, what: str, depth: float, translation: float) -> None:
        if (depth, translation) != (1.0, 1.0):
            self._learner.scale(depth, translation, is_camera=not is_small(depth))
            self._metres.note_applied(depth, translation)
            self._note(f"scales {what}: depth x %.3f, translation x %.3f", depth, translation)

    def _batches(self, snippets: list[Snippet]) -> list[SnippetBatch]:
        device = self._learner.training.device
        return [batch.to(device) for batch in collate_in_batches(snippets, BATCH)]


def of_size(snippets: list[Snippet], size: tuple[int, int] | None) -> list[Snippet]:
    """The snippets whose images are ``(height, width)``."""
    return [snippet for snippet in snippets if snippet.target.shape[:2] == size]
