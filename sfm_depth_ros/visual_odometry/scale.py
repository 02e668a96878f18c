# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scale of single image pairs against the odometer, and both ratios over the newest pairs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
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


class ScaleMonitor:
    """Robust summary of the newest scale ratios.

    Depth's own scale and that of the published translation are two numbers and are kept apart.
    Above 1 means too large.

    Args:
        window: How many of the newest estimates of each ratio count.
    """

    def __init__(self, window: int = 200) -> None:
        if window < 2:
            raise ValueError(f"expected a window of at least 2 estimates, got {window}")
        self._depth: deque[float] = deque(maxlen=window)
        self._translation: deque[float] = deque(maxlen=window)

    def add(self, depth_ratio: float | None, translation_ratio: float | None) -> None:
        """Take the estimates of one image pair; None where the pair gave none."""
        if depth_ratio is not None:
            self._depth.append(depth_ratio)
        if translation_ratio is not None:
            self._translation.append(translation_ratio)

    @property
    def depth_scale_ratio(self) -> RobustSummary | None:
        """Depth's own scale against the odometer, or None before the first estimate."""
        return summarize(self._depth)

    @property
    def translation_scale_ratio(self) -> RobustSummary | None:
        """Published over measured translation, or None before the first estimate."""
        return summarize(self._translation)

    def clear(self) -> None:
        """Forget everything (a new model, a jump in time)."""
        self._depth.clear()
        self._translation.clear()


@dataclass(frozen=True)
class RobustSummary:
    """Median, interquartile range and size of a sample."""

    median: float  # Middle of the sample
    iqr: float  # Third minus first quartile
    count: int  # Size of the sample

    def as_dict(self) -> dict[str, float | int]:
        """The three numbers that reports hold."""
        return {"median": self.median, "iqr": self.iqr, "count": self.count}


def summarize(values: Iterable[float]) -> RobustSummary | None:
    """Summarize the finite values.

    Args:
        values: Any numbers; NaN and infinities are left out.

    Returns:
        The summary, or None where no finite value is left.
    """
    sample = np.asarray(list(values), dtype=np.float64)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return None
    first, median, third = np.quantile(sample, (0.25, 0.5, 0.75))
    return RobustSummary(float(median), float(third - first), int(sample.size))
