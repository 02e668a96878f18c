# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ego-motion of the newest pair: by corners in the images first, by the pose network where not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.input_monitor import InputMonitor
from sfm_depth_ros.estimation.model_session import PoseNetwork
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.ego_motion import EgoMotion, MotionUncertainty
from sfm_depth_ros.visual_odometry.input_fault import InputFault
from sfm_depth_ros.visual_odometry.landmark_scale import ScaleEstimate
from sfm_depth_ros.visual_odometry.odometry_step import NETWORK, NONE, MotionPrior, OdometryStep
from sfm_depth_ros.visual_odometry.scale import ImagePair, PairScale, ScaleGauge, ScaleMonitor
from sfm_depth_ros.visual_odometry.visual_odometer import VisualOdometer

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
    step: OdometryStep | None = None  # landmarks and visual motion; None without tracking image
    T_network: np.ndarray | None = None  # `(4, 4)` by the pose network where it ran
    remarks: tuple[str, ...] = ()  # reasons why something is missing
    faults: tuple[InputFault, ...] = ()  # wrong inputs, named over the newest seconds
    floor_height: float | None = None  # metres of the camera above the floor, now and then


class MotionEstimator:
    """Estimates the camera's motion and measures it against the odometer.

    Corners give motion wherever they can be followed and something gives its length. The pose
    network runs where ``ego_motion`` is ``network``, where there is no odometer, and after images
    in which vision failed.

    Args:
        always_network: Whether to run the pose network on every pair (evaluation).
    """

    def __init__(self, always_network: bool = False) -> None:
        self.scale = ScaleMonitor()
        self._always_network = always_network
        self._odometer: VisualOdometer | None = None
        self._odometer_of: tuple[VelocityBuffer | None, str] = (None, "")
        self._vision_failed = True
        self._previous: EstimatedFrame | None = None
        self._gauge = ScaleGauge()
        self._inputs = InputMonitor()
        self._network_scale: ScaleEstimate | None = None
        self._network_floor: float | None = None
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

    def remember(
        self,
        frame: Frame,
        depth: np.ndarray,
        scale: ScaleEstimate | None,
        floor_height: float | None,
    ) -> None:
        """Keep an image, its depth by the network, and that depth's scale and floor.

        Args:
            frame: The image.
            depth: ``(h, w)`` metres.
            scale: Of the depth against the landmarks.
            floor_height: Metres of the camera above the depth's floor, by the landmarks' scale.
        """
        self._previous = EstimatedFrame(frame, depth)
        self._network_scale, self._network_floor = scale, floor_height

    def estimate(
        self,
        pair: Pair,
        velocities: VelocityBuffer | None,
        config: DepthNodeConfig,
        on_motion: OnMotion | None,
        pose_network: PoseNetwork,
        why_none: str,
    ) -> MotionOutput:
        """Estimate the motion of a pair.

        Args:
            pair: The newest image and the one before.
            velocities: The odometer's memory.
            config: ``ego_motion``, ``apply_scale`` and ``min_displacement``.
            on_motion: Called with the ego-motion.
            pose_network: Runs the pose network on the newest images.
            why_none: Reason to report where neither geometry nor a network gives a motion.
        """
        T_network = None
        if pair.follows and self._needs_network(pair.later, velocities, config):
            T_network = pose_network()
        has_odometer = velocities is not None and len(velocities) > 0
        is_prior = config.ego_motion == "network" or not has_odometer
        prior = T_network if is_prior else None  # its length is worse than an odometer's
        step = self._advance(pair.later, velocities, config.ego_motion, prior)
        motion, remark = self._motion(pair, step, T_network, why_none)
        images = _compared(pair, motion, T_network, with_depth=step is None)
        scale = self._measure(images, velocities, config)
        if motion is not None and on_motion is not None:
            on_motion(motion)
        if step is not None:
            self._inputs.add(step, velocities, self._network_scale, self._network_floor)
        remarks = (remark, self._gauge.remark, *(step.remarks if step else ()))
        return MotionOutput(
            motion,
            scale,
            step,
            T_network,
            tuple(filter(None, remarks)),
            self._inputs.faults,
            self._inputs.floor_height,
        )

    def find_corners(self) -> None:
        """Search the newest image for corners; the next image waits for it, nothing else does."""
        if self._odometer is not None:
            self._odometer.find_corners()

    def _needs_network(
        self, frame: Frame, velocities: VelocityBuffer | None, config: DepthNodeConfig
    ) -> bool:
        if self._always_network or config.ego_motion == "network" or frame.tracking is None:
            return True
        return self._vision_failed or velocities is None or not len(velocities)

    def _advance(
        self,
        frame: Frame,
        velocities: VelocityBuffer | None,
        mode: str,
        T_network: np.ndarray | None,
    ) -> OdometryStep | None:
        """Follow the corners into the newest image."""
        tracking = frame.tracking
        if tracking is None:
            return None
        known, known_mode = self._odometer_of
        if self._odometer is None or known is not velocities or known_mode != mode:
            self._odometer = VisualOdometer(velocities, mode)
            self._odometer_of = velocities, mode
        prior = None
        if T_network is not None:
            prior = MotionPrior(T_network, self._uncertainty.covariance(T_network))
        step = self._odometer.advance(
            tracking.grey,
            frame.stamp_ns,
            tracking.intrinsics,
            valid=tracking.valid,
            network=prior,
        )
        self._vision_failed = step.source in (NETWORK, NONE) or step.length_source == NETWORK
        return step

    def _motion(
        self, pair: Pair, step: OdometryStep | None, T_network: np.ndarray | None, why_none: str
    ) -> tuple[EgoMotion | None, str]:
        """The motion that is published, or None and the reason."""
        if pair.earlier is None:
            return None, pair.why_alone
        stamps = pair.earlier.frame.stamp_ns, pair.later.stamp_ns
        if step is not None and step.T_earlier_later is not None and step.earlier_ns == stamps[0]:
            assert step.covariance is not None  # both or none
            return EgoMotion(*stamps, step.T_earlier_later, step.covariance), ""
        if T_network is None:
            return None, why_none
        covariance = self._uncertainty.covariance(T_network)
        return EgoMotion(*stamps, T_network, covariance), ""

    def reset(self) -> None:
        """Forget the image before and the pairs that wait for velocities (time jumped)."""
        self._previous = None
        self._gauge.clear()
        self._inputs.reset()
        if self._odometer is not None:
            self._odometer.reset()

    def forget_model(self, keep_frame: bool) -> None:
        """Forget what was measured of a model, and the image before unless it still fits."""
        if self._previous is not None:
            self._previous = EstimatedFrame(self._previous.frame, None) if keep_frame else None
        self._gauge.clear()
        self._uncertainty.clear()
        self._network_scale = self._network_floor = None
        self.scale.clear()

    def _measure(
        self,
        images: ImagePair | None,
        velocities: VelocityBuffer | None,
        config: DepthNodeConfig,
    ) -> PairScale | None:
        """Scales of the newest pair that the velocities cover, as a rule the one before this."""
        if velocities is None or config.apply_scale == "off":
            self._gauge.clear()
            return None
        if images is not None:
            self._gauge.add(images)
        scale = self._gauge.measure(velocities, config.min_displacement)
        if scale:
            if scale.pair.T_network is not None:
                self._uncertainty.observe(scale.pair.T_network, scale.T_measured)
            self.scale.add(scale.depth.ratio if scale.depth else None, scale.translation_ratio)
        return scale


def _compared(
    pair: Pair, motion: EgoMotion | None, T_network: np.ndarray | None, with_depth: bool
) -> ImagePair | None:
    """What the odometer is compared with, of a pair whose motion is known; else None."""
    earlier = pair.earlier
    if earlier is None or earlier.depth is None or motion is None:
        return None
    depth = earlier.depth if with_depth else None
    return ImagePair(earlier.frame, pair.later, depth, motion.T_earlier_later, T_network)
