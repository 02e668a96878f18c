# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The odometer beside the image: measurements taken, judged, and weighed."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from sfm_depth_ros.geometry.frames import rotation_vector
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.bundle import PairTerm
from sfm_depth_ros.visual_odometry.covariance_scale import CovarianceScale
from sfm_depth_ros.visual_odometry.median import median
from sfm_depth_ros.visual_odometry.motion_terms import (
    SHORT,
    full_term,
    length_information,
    length_term,
    network_term,
    without_bias,
)
from sfm_depth_ros.visual_odometry.odometer_input import MeasuredMotion, OdometerInput
from sfm_depth_ros.visual_odometry.odometer_trust import LengthTrust, RotationTrust
from sfm_depth_ros.visual_odometry.odometry_step import MotionPrior, TimeOffset
from sfm_depth_ros.visual_odometry.options import OdometerOptions
from sfm_depth_ros.visual_odometry.sliding_window import SlidingWindow, WindowFrame
from sfm_depth_ros.visual_odometry.time_offset import TimeOffsetEstimator

_CERTAIN_OFFSET_S = 0.01  # standard deviation of a time offset that is corrected
_LEAST_OFFSET_S = 0.015  # smaller ones are not
_UNKNOWN_OFFSET_S = 0.02  # standard deviation before rotations have shown it


class Fusion:
    """Recent worth of the odometer, and its share in the newest motions.

    Args:
        velocities: The odometer's memory; None without odometer.
        uses_rotation: Whether the odometer's rotation and direction are measurements; its length
            always is.
        options: Of the estimator.
    """

    def __init__(
        self, velocities: VelocityBuffer | None, uses_rotation: bool, options: OdometerOptions
    ) -> None:
        self.uses_rotation = uses_rotation
        self.length_trust = LengthTrust()
        self._options = options
        self._odometer = OdometerInput(velocities)
        up = np.array([0.0, -1.0, 0.0]) if velocities is None else velocities.T_base_camera[2, :3]
        self._rotation_trust = RotationTrust(up)
        self._time_offset = TimeOffsetEstimator()
        self._scale = CovarianceScale()

    @property
    def has_odometer(self) -> bool:
        """Whether there is an odometer at all."""
        return self._odometer.velocities is not None

    @property
    def has_bias(self) -> bool:
        """Whether the odometer's rotation rate is off by more than chance, for long."""
        return self._rotation_trust.has_lasting_bias

    def remarks(self, frame: WindowFrame) -> tuple[str, ...]:
        """Reasons, in words, why the odometer counts for less in a frame."""
        remarks = []
        if frame.measured is None and self.has_odometer:
            remarks.append("no odometry: the length comes from the landmarks")
        if not frame.trusts_length:
            remarks.append("the odometer's length contradicts the landmarks (wheel slip?)")
        if self.uses_rotation and self.has_bias:
            remarks.append("the odometer's rotation has a bias")
        return tuple(remarks)

    @property
    def time_offset(self) -> TimeOffset | None:
        """Newest estimate, None until rotations have shown it."""
        return self._time_offset.estimate

    def forget_times(self) -> None:
        """Begin the time offset anew (after a jump in time)."""
        self._time_offset.clear()

    def measured(self, earlier_ns: int, later_ns: int) -> MeasuredMotion | None:
        """The odometer's motion between two images, None in its gaps."""
        return self._odometer.between(earlier_ns, later_ns)

    def unbiased(self, measured: MeasuredMotion) -> np.ndarray:
        """The measured motion ``(4, 4)`` without the bias of its rotation."""
        excess = self._rotation_trust.bias * measured.seconds
        return without_bias(measured.T_earlier_later, excess)

    def take(self, window: SlidingWindow, focal: float) -> None:
        """Fetch measurements that were missing; judge the final ones and scale the window.

        Args:
            window: Its newest motion is the one to judge.
            focal: Pixels.
        """
        last = len(window.frames) - 1
        for index in range(1, last + 1):
            frame, before = window.frames[index], window.frames[index - 1]
            if frame.measured is None or frame.measured.is_extrapolated:
                frame.measured = self.measured(before.stamp_ns, frame.stamp_ns)
            if frame.is_settled:
                self._compare(frame)
                continue
            if frame.measured is None:
                if index == last:
                    self.length_trust.coast()
            elif not frame.measured.is_extrapolated:
                frame.is_settled = True
                self._judge_rotation(window, before, frame)
                if self._has_parallax(window, frame.measured, focal):
                    self._judge_length(window, frame)

    def terms(self, window: SlidingWindow, network: MotionPrior | None) -> list[PairTerm]:
        """Measurements of the motions that are refined."""
        terms = []
        last = len(window.frames) - 1
        for index in range(max(1, last + 1 - self._options.free), last + 1):
            frame, before = window.frames[index], window.frames[index - 1]
            if frame.measured is None:
                continue
            noise, of_length = self._options.length_noise, 0.0
            if frame.trusts_length:
                if self.uses_rotation and frame.measured.length > SHORT:
                    of_length = length_information(frame.measured, noise)
                else:
                    terms.append(length_term(index, frame.measured, noise))
            if self.uses_rotation:
                trust, extra = self._rotation_trust, self._delay_variance(before, frame)
                if frame.surprise is not None:
                    extra = extra + frame.surprise
                terms.append(full_term(index, frame.measured, trust, extra, of_length))
        if network is not None and self.uses_rotation:
            terms.append(network_term(last, network))
        return terms

    def covariance(
        self, frame: WindowFrame, motion: np.ndarray, covariance: np.ndarray
    ) -> np.ndarray:
        """Covariance of the newest motion as it is published.

        By the image alone, it is scaled by what the odometer has shown of its worth; with the
        odometer's rotation in it, the image cannot be told from the odometer.
        """
        if self.uses_rotation:
            return covariance
        frame.refined = motion, covariance
        return self._scale.scaled(covariance, motion)

    def _compare(self, frame: WindowFrame) -> None:
        if frame.refined is None or frame.measured is None:
            return
        motion, covariance = frame.refined
        self._scale.observe(motion, covariance, self.unbiased(frame.measured))
        frame.refined = None

    def _delay_variance(self, before: WindowFrame, frame: WindowFrame) -> np.ndarray:
        """``(3,)`` rad^2 that a delay which is not known makes of a rotation that changes."""
        if frame.measured is None or before.measured is None:
            return np.zeros(3)
        rate, rate_before = (
            measured.rotation / measured.seconds for measured in (frame.measured, before.measured)
        )
        offset = self._time_offset.estimate
        delay = _UNKNOWN_OFFSET_S if offset is None else min(offset.std, _UNKNOWN_OFFSET_S)
        return (delay * (rate - rate_before)) ** 2

    def _judge_rotation(
        self, window: SlidingWindow, before: WindowFrame, frame: WindowFrame
    ) -> None:
        if frame.measured is None or frame.seen is None:
            return
        seen, measured = frame.seen.T_earlier_later, frame.measured.T_earlier_later
        variance = np.diag(frame.seen.covariance) * window.inflation**2
        length, seen_length = frame.measured.length, math.hypot(*seen[:3, 3].tolist())
        direction = None
        if min(length, seen_length) > self._options.least_length:
            apart = measured[:3, 3] / length - seen[:3, 3] / seen_length
            direction = (seen[:3, :3].T @ apart)[:2]
        frame.surprise = self._rotation_trust.observe(
            rotation_vector(seen[:3, :3].T @ measured[:3, :3]),
            direction,
            frame.measured.seconds,
            variance[3:],
            variance[:2] / max(length, 1e-3) ** 2,
        )
        if self._odometer.velocities is not None:
            rotation = rotation_vector(seen[:3, :3])
            self._time_offset.observe(
                before.stamp_ns, frame.stamp_ns, rotation, self._odometer.velocities
            )
            self._apply_time_offset()

    def _apply_time_offset(self) -> None:
        """Read the odometer at shifted times, once the shift is certain."""
        offset = self._time_offset.estimate
        if offset is None or offset.std > _CERTAIN_OFFSET_S:
            return
        if abs(offset.seconds) > _LEAST_OFFSET_S + 3 * offset.std:
            self._odometer.late_ns = round(offset.seconds * 1e9)
        elif self._odometer.late_ns and abs(offset.seconds) < _LEAST_OFFSET_S:
            self._odometer.late_ns = 0

    def _has_parallax(self, window: SlidingWindow, measured: MeasuredMotion, focal: float) -> bool:
        """Whether the image can tell so short a motion's length from pixel noise."""
        tracks = window.tracks
        nearness = median(tracks.inverse_depth) if len(tracks) else 0.0
        return focal * measured.length * nearness > self._options.least_flow

    def _judge_length(self, window: SlidingWindow, frame: WindowFrame) -> None:
        if frame.measured is None or frame.seen is None:
            return
        length = frame.measured.length
        seen_length = math.hypot(*frame.seen.T_earlier_later[:3, 3].tolist())
        if min(length, seen_length) < self._options.least_judged:
            return
        innovation = math.log(length / seen_length)
        along = frame.seen.T_earlier_later[:3, 3] / seen_length
        variance = along @ frame.seen.covariance[:3, :3] @ along
        variance *= (window.inflation / seen_length) ** 2
        correction = self.length_trust.update(
            innovation, self._scale_residual(window), float(variance)
        )
        frame.trusts_length = correction is not None
        if correction is not None:
            window.rescale(math.exp(correction))

    def _scale_residual(self, window: SlidingWindow) -> float:
        """log(measured / refined length) over the window's motions but the newest."""
        measured = refined = 0.0
        for before, frame in pairwise(window.frames[:-1]):
            if frame.measured is not None and frame.trusts_length and frame.is_settled:
                measured += frame.measured.length
                refined += math.dist(frame.pose[:3, 3].tolist(), before.pose[:3, 3].tolist())
        if min(measured, refined) < self._options.least_judged:
            return 0.0
        return math.log(measured / refined)
