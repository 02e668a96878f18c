# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Snippets from a stream of frames and an odometer; used live and offline."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.errors import VelocityGapError
from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.snippets.image_gate import IMAGE_REASONS, ImageGate
from sfm_depth_ros.snippets.refusals import RecentOutcomes
from sfm_depth_ros.snippets.values import OF_TARGET, Displacement, Frame, Snippet
from sfm_depth_ros.snippets.velocity import VelocityBuffer

REASONS = ("standing", "too_far", "image_gap", "velocity", "backward", "duplicate", "camera")
MAX_WAIT_S = 2.0
MAX_WAITING = 64


@dataclass(frozen=True)
class _Keyframe:
    frame: Frame
    displacement: Displacement | None  # from the keyframe before; None for the first


class SnippetBuilder:
    """Chains keyframes that are far enough apart; three neighbours make a snippet.

    A frame becomes the next keyframe when the camera has moved ``min_displacement`` since the
    last one; frames between are left out, so that slow driving gives sources with parallax and
    no target comes twice. A frame that the odometer does not cover yet waits. Whatever breaks the
    chain is counted under its reason. Where a gate is given, each image that would become a
    keyframe is compared with the last one, and nothing unusable reaches a snippet.
    """

    def __init__(
        self,
        velocities: VelocityBuffer,
        min_displacement: float,
        max_displacement: float,
        max_image_gap_s: float,
        image_gate: ImageGate | None = None,
    ) -> None:
        self.min_displacement = min_displacement  # metres between neighbours, at least
        self.max_displacement = max_displacement  # metres between neighbours, at most
        self.max_image_gap_s = max_image_gap_s  # seconds between neighbours, at most
        # frames refused for each of REASONS and IMAGE_REASONS
        self.counts = dict.fromkeys((*REASONS, *(IMAGE_REASONS if image_gate else ())), 0)
        self._gate = image_gate
        self._recent = RecentOutcomes()
        self._velocities = velocities
        self._waiting: deque[Frame] = deque()
        self._keyframes: deque[_Keyframe] = deque(maxlen=3)
        self._newest_ns: int | None = None
        self._is_standing = False

    @property
    def gated(self) -> str:
        """Reason of ``IMAGE_REASONS`` that has held for a moment, or an empty string."""
        return self._recent.lasting(IMAGE_REASONS)

    @property
    def is_standing(self) -> bool:
        """Whether the camera has stood still for a moment, and still does."""
        return self._is_standing and bool(self._recent.lasting(("standing",)))

    def reset(self) -> None:
        """Forget all frames (after a jump in time); counts stay."""
        self._waiting.clear()
        self._keyframes.clear()
        self._recent.clear()
        self._is_standing = False
        self._newest_ns = None

    def add(self, frame: Frame) -> list[Snippet]:
        """Take the next frame.

        Returns:
            The snippets that became complete: usually none or one, several when the odometer
            caught up.
        """
        if not self._is_next(frame):
            return []
        self._waiting.append(frame)
        self._give_up_waiting()
        snippets = []
        while self._waiting:
            try:
                snippet = self._advance(self._waiting[0])
            except VelocityGapError as error:
                if error.pending:
                    break
                self._begin_anew(self._waiting[0], "velocity")
                snippet = None
            self._waiting.popleft()
            if snippet is not None:
                snippets.append(snippet)
        return snippets

    def _is_next(self, frame: Frame) -> bool:
        newest_ns = self._newest_ns
        if newest_ns is not None and frame.stamp_ns == newest_ns:
            self.counts["duplicate"] += 1
            return False
        if newest_ns is not None and frame.stamp_ns < newest_ns:
            self.counts["backward"] += 1
            self.reset()
        self._newest_ns = frame.stamp_ns
        return True

    def _give_up_waiting(self) -> None:
        """Frames that the odometer has not reached for too long will not get velocities."""
        newest_ns = self._waiting[-1].stamp_ns
        while (
            len(self._waiting) > MAX_WAITING
            or newest_ns - self._waiting[0].stamp_ns > MAX_WAIT_S * 1e9
        ):
            self._begin_anew(self._waiting.popleft(), "velocity")

    def _advance(self, frame: Frame) -> Snippet | None:
        """Bring the oldest waiting frame into the chain."""
        if not self._keyframes:
            self._restart(frame)
            return None
        last = self._keyframes[-1].frame
        gap_s = (frame.stamp_ns - last.stamp_ns) * 1e-9
        displacement = self._displacement(last, frame, gap_s)
        reason = self._refusal(last, frame, gap_s, displacement)
        self._is_standing = reason == "standing"
        if reason:
            self.counts[reason] += 1
            self._recent.add(frame.stamp_ns, reason)
            if reason != "standing" or gap_s > self.max_image_gap_s:
                self._restart(frame)
            return None
        if self._is_unusable(frame):
            return None
        self._recent.add(frame.stamp_ns, "")
        self._keyframes.append(_Keyframe(frame, displacement))
        return self._snippet() if len(self._keyframes) == 3 else None

    def _displacement(self, last: Frame, frame: Frame, gap_s: float) -> Displacement | None:
        """None where a gap in the images leaves no velocity worth waiting for."""
        try:
            return self._velocities.displacement(last.stamp_ns, frame.stamp_ns)
        except VelocityGapError:
            if gap_s > self.max_image_gap_s:
                return None
            raise

    def _refusal(
        self, last: Frame, frame: Frame, gap_s: float, displacement: Displacement | None
    ) -> str:
        """Reason why the frame cannot follow the last keyframe; empty = it can."""
        if not frame.intrinsics.is_close(last.intrinsics):  # autofocus changes them a little
            return "camera"
        if displacement is not None and displacement.length < self.min_displacement:
            return "standing"
        if displacement is None or gap_s > self.max_image_gap_s:
            return "image_gap"
        return "too_far" if displacement.length > self.max_displacement else ""

    def _begin_anew(self, frame: Frame, reason: str) -> None:
        self.counts[reason] += 1
        self._restart(frame)

    def _restart(self, frame: Frame) -> None:
        """Begin a chain with a frame, unless its image is useless by itself."""
        self._keyframes.clear()
        if self._gate is not None:
            self._gate.reset()
            if reason := self._gate.refusal(frame.image, moved=False):
                self._note(frame, reason)
                return
        self._keyframes.append(_Keyframe(frame, None))

    def _is_unusable(self, frame: Frame) -> bool:
        """Whether the gate refuses a frame beside the last keyframe; the chain breaks there."""
        if self._gate is None:
            return False
        reason = self._gate.refusal(frame.image, moved=True)
        if not reason:
            return False
        self._note(frame, reason)
        self._keyframes.clear()
        if reason in ("frozen", "untrackable"):  # by itself it is usable: another scene may begin
            self._keyframes.append(_Keyframe(frame, None))
        return True

    def _note(self, frame: Frame, reason: str) -> None:
        self.counts[reason] += 1
        self._recent.add(frame.stamp_ns, reason)

    def _snippet(self) -> Snippet:
        earlier, target, later = self._keyframes
        before, after = target.displacement, later.displacement
        assert before is not None and after is not None  # only the first of a chain has none
        frames = [keyframe.frame for keyframe in self._keyframes]
        return Snippet(
            target=target.frame.image,
            sources=np.stack([earlier.frame.image, later.frame.image]),
            intrinsics=target.frame.intrinsics,
            displacements=np.array([before.length, after.length], np.float32),
            stamps_ns=np.array([frame.stamp_ns for frame in frames], np.int64),
            T_measured=np.stack([before.T_earlier_later, invert(after.T_earlier_later)]).astype(
                np.float32
            ),
            instances=_instances(target.frame, earlier.frame, later.frame),
            **{name: getattr(target.frame, name) for name in OF_TARGET},
        )


def _instances(*frames: Frame) -> np.ndarray | None:
    """Masks ``(3, H, W)`` of all frames, or None where one has none."""
    masks = [frame.instances for frame in frames if frame.instances is not None]
    return np.stack(masks) if len(masks) == len(frames) else None
