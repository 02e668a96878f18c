# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compares image pairs with the odometer, as soon as the odometer has caught up with them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from sfm_depth_ros.errors import VelocityGapError
from sfm_depth_ros.snippets.values import Displacement, Frame
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.alignment import DepthScale, measure_depth_scale


@dataclass(frozen=True)
class ImagePair:
    """Two images with the depth and motion estimated for them."""

    earlier: Frame  # The earlier frame
    later: Frame  # The later frame, of the same camera
    # `(H, W)` predicted depth of the earlier frame, metres, NaN = unknown; None = not compared
    depth: np.ndarray | None
    T_earlier_later: np.ndarray  # `(4, 4)` published motion of the camera
    T_network: np.ndarray | None = None  # `(4, 4)` the same by the pose network, where it ran


@dataclass(frozen=True)
class PairScale:
    """One pair's scale by the odometer."""

    pair: ImagePair  # The pair
    T_measured: np.ndarray  # `(4, 4)` the odometer's `T_earlier_later` of the camera
    depth: DepthScale | None  # Depth's own scale, or None where the pair does not determine it
    # Published over measured length of the translation, or None where the robot hardly moved
    translation_ratio: float | None


class ScaleGauge:
    """Holds pairs until velocities cover them.

    Odometry usually arrives after the image it belongs to, so a pair waits, for a few images at
    most. One pair is measured at a call; where several are ready, the newest.

    Args:
        capacity: How many pairs may wait.
    """

    def __init__(self, capacity: int = 8) -> None:
        self._waiting: deque[ImagePair] = deque(maxlen=capacity)
        self.remark = ""

    def add(self, pair: ImagePair) -> None:
        """Let a pair wait for its velocities."""
        self._waiting.append(pair)

    def clear(self) -> None:
        """Forget the pairs that wait."""
        self._waiting.clear()
        self.remark = ""

    def measure(self, velocities: VelocityBuffer, min_displacement: float) -> PairScale | None:
        """Measure the newest pair that the velocities cover, else set ``remark`` to the reason.

        Args:
            velocities: The odometer's memory.
            min_displacement: Camera translation in metres below which a pair has no scale.
        """
        self.remark = ""
        ready: tuple[ImagePair, Displacement] | None = None
        while self._waiting:
            pair = self._waiting[0]
            try:
                ready = pair, velocities.displacement(pair.earlier.stamp_ns, pair.later.stamp_ns)
            except VelocityGapError as error:
                self.remark = f"no scale: {error}"
                if error.pending:
                    break
            self._waiting.popleft()
        return None if ready is None else self._compare(*ready, min_displacement)

    def _compare(
        self, pair: ImagePair, measured: Displacement, min_displacement: float
    ) -> PairScale:
        T_measured = measured.T_earlier_later
        if measured.length < min_displacement:
            self.remark = f"no scale: moved {measured.length:.3f} m < min_displacement"
            return PairScale(pair, T_measured, None, None)
        predicted_length = float(np.linalg.norm(pair.T_earlier_later[:3, 3]))
        if pair.depth is None:
            return PairScale(pair, T_measured, None, predicted_length / measured.length)
        depth = measure_depth_scale(
            _grey(pair.earlier), _grey(pair.later), pair.depth, pair.earlier.intrinsics, T_measured
        )
        self.remark = "" if depth else "no depth scale: too little parallax or texture"
        return PairScale(pair, T_measured, depth, predicted_length / measured.length)


def _grey(frame: Frame) -> np.ndarray:
    return cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
