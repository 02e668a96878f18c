# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ego-motion of the newest pair, with a covariance, and both scales against the odometer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.ego_motion import EgoMotion, MotionUncertainty
from sfm_depth_ros.visual_odometry.scale import ScaleMonitor
from sfm_depth_ros.visual_odometry.scale_gauge import ImagePair, PairScale, ScaleGauge

OnMotion = Callable[[EgoMotion], None]


@dataclass(frozen=True)
class EstimatedFrame:
    """An image that has been processed, as the partner of the next one."""

    frame: Frame
    depth: np.ndarray | None  # `(h, w)` metres; None where another model estimated it


@dataclass(frozen=True)
class Pair:
    """The newest image and the one before, or the reason why it stands alone."""

    later: Frame
    earlier: EstimatedFrame | None
    why_alone: str = ""

    @property
    def follows(self) -> bool:
        """Whether there is an image before."""
        return self.earlier is not None


@dataclass(frozen=True)
class MotionOutput:
    """Motion of one image pair."""

    ego_motion: EgoMotion | None  # motion of the camera since the image before
    scale: PairScale | None  # scales of the newest pair that velocities cover
    remarks: tuple[str, ...] = ()  # reasons why either is missing


class MotionEstimator:
    """Turns the pose network's motion into ego-motion and measures it against the odometer."""

    def __init__(self) -> None:
        self.scale = ScaleMonitor()
        self._previous: EstimatedFrame | None = None
        self._gauge = ScaleGauge()
        self._uncertainty = MotionUncertainty()

    def pair(self, frame: Frame, max_gap_s: float) -> Pair:
        """Pair an image with the one before.

        That one is taken out: an image that fails leaves no partner for the next one.
        """
        previous, self._previous = self._previous, None
        if previous is None:
            return Pair(frame, None, "no ego-motion: no image before this one")
        seconds = (frame.stamp_ns - previous.frame.stamp_ns) * 1e-9
        if seconds <= 0:
            self._gauge.clear()
            return Pair(frame, None, "no ego-motion: image is not newer than the one before")
        if seconds > max_gap_s:
            return Pair(
                frame, None, f"no ego-motion: {seconds:.3f} s between images > max_image_gap"
            )
        return Pair(frame, previous)

    def remember(self, frame: Frame, depth: np.ndarray) -> None:
        """Keep an image for the next one."""
        self._previous = EstimatedFrame(frame, depth)

    def estimate(
        self,
        pair: Pair,
        velocities: VelocityBuffer | None,
        config: DepthNodeConfig,
        on_motion: OnMotion | None,
        T_earlier_later: np.ndarray | None,
    ) -> MotionOutput:
        """Estimate the motion of a pair.

        Args:
            pair: The newest image and the one before.
            velocities: The odometer's memory.
            config: ``apply_scale`` and ``min_displacement``.
            on_motion: Called with the ego-motion.
            T_earlier_later: ``(4, 4)`` motion by the pose network, metres, or None.
        """
        scale = self._measure(pair, T_earlier_later, velocities, config)
        motion, remark = None, pair.why_alone
        if pair.earlier is not None and T_earlier_later is None:
            remark = "no ego-motion: the pose network needs two images before this one"
        elif pair.earlier is not None and T_earlier_later is not None:
            stamps = pair.earlier.frame.stamp_ns, pair.later.stamp_ns
            covariance = self._uncertainty.covariance(T_earlier_later)
            motion = EgoMotion(*stamps, T_earlier_later, covariance)
        if motion is not None and on_motion is not None:
            on_motion(motion)
        return MotionOutput(motion, scale, tuple(filter(None, (remark, self._gauge.remark))))

    def reset(self) -> None:
        """Forget the image before and the pairs that wait for velocities (time jumped)."""
        self._previous = None
        self._gauge.clear()

    def forget_model(self, keep_frame: bool) -> None:
        """Forget what was measured of a model, and the image before unless it still fits."""
        if self._previous is not None:
            self._previous = EstimatedFrame(self._previous.frame, None) if keep_frame else None
        self._gauge.clear()
        self._uncertainty.clear()
        self.scale.clear()

    def _measure(
        self,
        pair: Pair,
        T_earlier_later: np.ndarray | None,
        velocities: VelocityBuffer | None,
        config: DepthNodeConfig,
    ) -> PairScale | None:
        """Scales of the newest pair that the velocities cover, as a rule the one before this."""
        if velocities is None or config.apply_scale == "off":
            self._gauge.clear()
            return None
        earlier = pair.earlier
        if earlier and earlier.depth is not None and T_earlier_later is not None:
            self._gauge.add(ImagePair(earlier.frame, pair.later, earlier.depth, T_earlier_later))
        scale = self._gauge.measure(velocities, config.min_displacement)
        if scale:
            self._uncertainty.observe(scale.pair.T_earlier_later, scale.T_measured)
            self.scale.add(scale.depth.ratio if scale.depth else None, scale.translation_ratio)
        return scale
