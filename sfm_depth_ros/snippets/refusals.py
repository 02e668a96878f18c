# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Refusals of frames and velocities: the reason that has lasted, and the remedy for each."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

WINDOW_S = 4.0  # looked back at
MOMENT_S = 1.0  # of the window that one outcome must have held
_LONGEST_S = 0.5  # that one sample stands for: a silent stream holds nothing
REMEDIES = {
    "standing": "the camera must move by min_displacement within max_image_gap: drive, or lower "
    "the one, or raise the other for a slow robot; if it did drive, its odometry's twist is not "
    "filled (sfm-depth doctor)",
    "too_far": "the camera moves farther than max_displacement between images: record more images "
    "a second or drive slower, or raise it",
    "image_gap": "images are farther apart in time than max_image_gap: look for lost images, or "
    "raise it",
    "velocity": "odometry must cover the images: look at its rate and at whether its stamps are "
    "of the images' clock, or raise max_velocity_gap",
    "backward": "stamps of the images fall: look at the driver and at clocks that are set",
    "duplicate": "images repeat a stamp: look at the driver, and for a second publisher",
    "camera": "camera_info changes by more than autofocus does: fix the zoom, and look for a "
    "second camera on the topic",
    "black": "images are black: look at the lens cap and at the exposure",
    "overexposed": "images are white: look at the exposure",
    "covered": "images have no contrast: look for a covered or dirty lens",
    "frozen": "the image stands still while the robot drives: look at the camera driver",
    "untrackable": "no corner can be followed from image to image: look for blur, noise and a "
    "dirty lens",
    "not_finite": "velocities are NaN or infinite: look at the odometry's publisher",
    "acceleration": "velocities jump as no robot can: look at the odometry's publisher",
    "too_fast": "velocities are too high: expected are m/s and rad/s",
}


def main_refusal(counts: Mapping[str, int]) -> str:
    """The reason that was counted most, with its remedy; "" where nothing was refused."""
    reason = max(counts, key=lambda name: counts[name], default="")
    if not reason or not counts[reason]:
        return ""
    return f"most often {reason}: {REMEDIES[reason]}" if reason in REMEDIES else reason


class RecentOutcomes:
    """Adds up how long each outcome held in the last seconds of a stream, by its stamps.

    A sample stands for the time since the one before. Not thread-safe.
    """

    def __init__(self) -> None:
        self._newest_ns: int | None = None
        self._held: deque[tuple[int, str, float]] = deque()

    def add(self, stamp_ns: int, outcome: str) -> None:
        """Note the outcome of a sample; "" stands for a good one."""
        newest_ns = self._newest_ns
        if newest_ns is not None and stamp_ns < newest_ns:
            if newest_ns - stamp_ns < WINDOW_S * 1e9:  # late: its time is accounted for
                return
            self._held.clear()  # a bag begins again
            newest_ns = None
        seconds = 0.0 if newest_ns is None else (stamp_ns - newest_ns) * 1e-9
        self._newest_ns = stamp_ns
        self._held.append((stamp_ns, outcome, min(seconds, _LONGEST_S)))
        while stamp_ns - self._held[0][0] > WINDOW_S * 1e9:
            self._held.popleft()

    def clear(self) -> None:
        """Forget everything (time jumped, another camera)."""
        self._newest_ns = None
        self._held.clear()

    def seconds(self, outcome: str) -> float:
        """Seconds of the window in which an outcome held."""
        return sum(seconds for _, name, seconds in list(self._held) if name == outcome)

    def lasting(self, outcomes: tuple[str, ...]) -> str:
        """The outcome that held longest, if all of ``outcomes`` together held for a moment.

        Two kinds of one fault may alternate: noise is now untrackable, now frozen.
        """
        held = {outcome: self.seconds(outcome) for outcome in outcomes}
        if sum(held.values()) < MOMENT_S:
            return ""
        return max(held, key=lambda outcome: held[outcome])
