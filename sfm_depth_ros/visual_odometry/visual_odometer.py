# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera motion and landmarks from one image after another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry import odometry_step as sources
from sfm_depth_ros.visual_odometry.corner_search import CornerSearch
from sfm_depth_ros.visual_odometry.fallback import OdometryImage, fallback_step, standing_step
from sfm_depth_ros.visual_odometry.fusion import Fusion
from sfm_depth_ros.visual_odometry.landmarks import Landmarks
from sfm_depth_ros.visual_odometry.motion_search import (
    NoMotionError,
    NoParallaxError,
    constant_velocity,
    find_first_motion,
    find_motion,
    focal_length,
    predicted_pixels,
    rays_of,
)
from sfm_depth_ros.visual_odometry.odometer_input import MeasuredMotion
from sfm_depth_ros.visual_odometry.odometry_step import MotionPrior, OdometryStep, TrackCounts
from sfm_depth_ros.visual_odometry.options import OdometerOptions
from sfm_depth_ros.visual_odometry.pose_fit import PoseFit
from sfm_depth_ros.visual_odometry.sliding_window import SlidingWindow
from sfm_depth_ros.visual_odometry.standstill import is_standing
from sfm_depth_ros.visual_odometry.tracker import PointTracker

MODES = ("visual", "fused", "network")
_LEFT_WAITING = 0.6  # share of tracks that must be left while waiting for parallax
_STRIKES = 4  # of a track, at which it is dropped


class VisualOdometer:
    """Tracks one camera; not thread-safe.

    Args:
        velocities: The odometer's memory, which may lag behind the images; None without odometer.
        mode: ``visual`` takes only the length of the displacement from the odometer,
            ``fused`` its rotation too, ``network`` publishes the pose network's motion
            (landmarks are still triangulated).
        tracker: Follows the corners; None = one of the default options.
    """

    def __init__(
        self,
        velocities: VelocityBuffer | None,
        mode: str = "fused",
        tracker: PointTracker | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}, expected one of {', '.join(MODES)}")
        self._mode = mode
        self._options = OdometerOptions()
        self._tracker = tracker or PointTracker(self._options.tracker)
        self._fusion = Fusion(velocities, mode == "fused", self._options)
        self._search = CornerSearch(self._tracker)
        self.reset()

    def reset(self) -> None:
        """Drop tracks, landmarks and window; statistics of the odometer stay."""
        self._window: SlidingWindow | None = None
        self._grey = np.zeros((0, 0), np.uint8)
        self._intrinsics: Intrinsics | None = None
        self._stamp_ns = 0
        self._rate: np.ndarray | None = None  # (6,) newest motion a second: translation, rotation
        self._has_depth = False
        self._first_tracks = 0  # tracks of the first image of a window
        self._keeps_image = False  # the next image is compared with the same one again
        self._search.drop()

    def advance(
        self,
        grey: np.ndarray,
        stamp_ns: int,
        intrinsics: Intrinsics,
        *,
        valid: np.ndarray | None = None,
        network: MotionPrior | None = None,
    ) -> OdometryStep:
        """Take the next image.

        A stamp that jumps, other intrinsics or a cut reset by themselves and are remarked. The
        image is searched for new corners by ``find_corners``, or else by the next call.

        Args:
            grey: ``(H, W)`` uint8 rectified image at the tracking width.
            stamp_ns: Time of exposure in nanoseconds.
            intrinsics: Camera of exactly this image.
            valid: ``(H, W)`` bool, False where the image has no source; None = all valid.
            network: The pose network's motion from the image before to this one.

        Raises:
            ValueError: The image is not uint8 of the intrinsics' size.
        """
        if grey.dtype != np.uint8 or grey.shape != (intrinsics.height, intrinsics.width):
            raise ValueError(
                f"expected uint8 ({intrinsics.height}, {intrinsics.width}), got {grey.dtype} "
                f"{grey.shape}"
            )
        self.find_corners()
        interruption = self._interruption(stamp_ns, intrinsics)
        window = self._window
        if window is None or interruption:
            return self._begin(grey, stamp_ns, intrinsics, valid, interruption)
        measured = self._fusion.measured(window.newest.stamp_ns, stamp_ns)
        image = OdometryImage(grey, stamp_ns, intrinsics, self._stamp_ns, measured, network)
        self._stamp_ns = stamp_ns
        self._keeps_image = False
        step = self._step(window, image)
        if not self._keeps_image:
            self._grey = grey
            everywhere = not len(window.tracks)
            self._search.put(window, grey, valid, intrinsics, everywhere)
        return step

    def find_corners(self) -> None:
        """Search the newest image for corners: nobody has to wait for them before the next one."""
        if self._search.run() and self._window is not None and not self._has_depth:
            self._first_tracks = len(self._window.tracks)

    def _step(self, window: SlidingWindow, image: OdometryImage) -> OdometryStep:
        """Follow the tracks, find the motion, refine it with the window."""
        predicted = self._predicted(window, image)
        guess = None
        if self._has_depth:
            guess = predicted_pixels(window.tracks, predicted, image.intrinsics)
        before = window.tracks.pixels
        # standing or waiting, the window's newest image is older than the published motion
        unpublished = invert(window.published) @ window.newest.pose
        pixels, found = self._tracker.follow(self._grey, image.grey, before, guess)
        flow = pixels[found] - before[found]
        stands, remark = is_standing(flow, image.measured, self._options)
        if stands:
            return self._stand(window, image, remark)
        pixels = pixels[found]
        window.select(found, flow)
        try:
            fit = self._fit(window, rays_of(pixels, image.intrinsics), predicted, image)
            agrees = self._append(window, fit, pixels, image)
            terms = self._fusion.terms(window, image.network)
            covariance = window.refine(terms, focal_length(image.intrinsics))
        except NoParallaxError as reason:
            return self._wait_for_parallax(window, image, str(reason))
        except (NoMotionError, np.linalg.LinAlgError) as reason:
            self._has_depth, self._rate = False, None
            window.restart(image.stamp_ns)
            measured = None
            if image.measured is not None:
                motion = unpublished @ image.measured.T_earlier_later
                measured = replace(image.measured, T_earlier_later=motion)
            return self._fall_back(image, measured, len(found), str(reason))
        if image.measured is not None and image.measured.length < self._options.least_length:
            # late corrections of the path must not look like motion of a robot at rest
            window.published = window.frames[-2].pose.copy()
        T_earlier_later = invert(window.published) @ window.newest.pose
        window.published = window.newest.pose.copy()
        self._rate = window.newest_rate()
        covariance = self._fusion.covariance(window.newest, T_earlier_later, covariance)
        return self._result(window, image, T_earlier_later, covariance, agrees)

    def _predicted(self, window: SlidingWindow, image: OdometryImage) -> np.ndarray:
        """Motion ``(4, 4)`` to expect since the newest frame of the window."""
        seconds = (image.stamp_ns - window.newest.stamp_ns) * 1e-9
        if self._fusion.uses_rotation and image.measured is not None:
            return self._fusion.unbiased(image.measured)
        if self._rate is not None:
            length = None if image.measured is None else image.measured.length
            return constant_velocity(self._rate, seconds, length)
        return np.eye(4) if image.network is None else image.network.T_earlier_later

    def _fit(
        self, window: SlidingWindow, rays: np.ndarray, predicted: np.ndarray, image: OdometryImage
    ) -> PoseFit:
        if self._has_depth:
            return find_motion(window, rays, predicted, image.intrinsics, self._options)
        expected = None if image.network is None else image.network.T_earlier_later
        if image.measured is not None:
            expected = image.measured.T_earlier_later
        return find_first_motion(window, rays, expected, image.intrinsics, self._options)

    def _append(
        self, window: SlidingWindow, fit: PoseFit, pixels: np.ndarray, image: OdometryImage
    ) -> np.ndarray:
        """Lengthen the window by the image, and scale it by the odometer."""
        rays = rays_of(pixels, image.intrinsics)
        agrees = window.append(image.stamp_ns, fit, pixels, rays)
        keeps = window.tracks.strikes < _STRIKES
        if not keeps.all():
            window.tracks = window.tracks.selected(keeps)
        window.newest.measured = image.measured
        window.shorten(focal_length(image.intrinsics))
        if not self._has_depth:
            window.newest.is_settled = True  # the odometer's length is its scale
            self._has_depth = True
            self._fusion.length_trust.restart()
        self._fusion.take(window, focal_length(image.intrinsics))
        return agrees

    def _stand(self, window: SlidingWindow, image: OdometryImage, remark: str) -> OdometryStep:
        """No motion at all: the window keeps its newest image, so that creeping adds up."""
        self._keeps_image = True
        if image.measured is None or image.measured.length < 0.003 or remark:
            window.newest.stamp_ns = image.stamp_ns
        self._rate = np.zeros(6)
        landmarks, offset = self._landmarks(window, image), self._fusion.time_offset
        return standing_step(image, landmarks, len(window.tracks), remark, offset)

    def _wait_for_parallax(
        self, window: SlidingWindow, image: OdometryImage, reason: str
    ) -> OdometryStep:
        """Another source's motion, while tracks go on from the window's only image."""
        measured = self._fusion.measured(image.earlier_ns, image.stamp_ns)
        step = self._fall_back(image, measured, len(window.tracks), reason)
        if step.T_earlier_later is not None:
            window.published = window.published @ step.T_earlier_later
        self._keeps_image = len(window.tracks) > _LEFT_WAITING * self._first_tracks
        if not self._keeps_image:  # rotated away from where it began
            window.restart(image.stamp_ns)
        return step

    def _fall_back(
        self, image: OdometryImage, measured: MeasuredMotion | None, tracked: int, reason: str
    ) -> OdometryStep:
        """The next source's motion."""
        if image.network is not None and not self._fusion.uses_rotation:
            measured = None
        return fallback_step(image, measured, tracked, reason, self._fusion.time_offset)

    def _result(
        self,
        window: SlidingWindow,
        image: OdometryImage,
        T_earlier_later: np.ndarray,
        covariance: np.ndarray,
        agrees: np.ndarray,
    ) -> OdometryStep:
        frame = window.newest
        source, length_source = sources.VISUAL, "landmarks"
        if frame.measured is not None and self._fusion.uses_rotation:
            source = sources.FUSED
        if frame.measured is not None and frame.trusts_length:
            length_source = "extrapolated" if frame.measured.is_extrapolated else "odometer"
        if self._mode == "network" and image.network is not None:
            T_earlier_later, covariance = image.network.T_earlier_later, image.network.covariance
            source, length_source = sources.NETWORK, "network"
        landmarks = self._landmarks(window, image)
        moving = int((window.tracks.strikes > 0).sum())
        counts = TrackCounts(len(agrees), moving, len(landmarks))
        return OdometryStep(
            image.earlier_ns, image.stamp_ns, T_earlier_later, covariance, source, landmarks,
            counts, self._fusion.remarks(frame), length_source, self._fusion.time_offset,
            None if frame.seen is None else frame.seen.T_earlier_later,
        )  # fmt: skip

    def _landmarks(self, window: SlidingWindow, image: OdometryImage) -> Landmarks:
        if not self._has_depth:
            return Landmarks.none(image.stamp_ns, image.intrinsics)
        deviation = self._fusion.length_trust.deviation
        return window.tracks.landmarks(image.stamp_ns, image.intrinsics, deviation)

    def _interruption(self, stamp_ns: int, intrinsics: Intrinsics) -> str:
        """Reason why this image does not continue the one before, or an empty string."""
        if self._window is None:
            return ""
        seconds = (stamp_ns - self._stamp_ns) * 1e-9
        if not 0 < seconds <= self._options.max_gap_s:
            self._fusion.forget_times()
            return f"{seconds:.3f} s since the image before: tracks dropped"
        assert self._intrinsics is not None  # known since the window began
        if not intrinsics.is_close(self._intrinsics):  # autofocus changes them a little
            return "other intrinsics: tracks dropped"
        self._intrinsics = intrinsics
        return ""

    def _begin(
        self,
        grey: np.ndarray,
        stamp_ns: int,
        intrinsics: Intrinsics,
        valid: np.ndarray | None,
        interruption: str,
    ) -> OdometryStep:
        self.reset()
        self._window = SlidingWindow(stamp_ns, self._options)
        self._grey, self._stamp_ns, self._intrinsics = grey, stamp_ns, intrinsics
        self._search.put(self._window, grey, valid, intrinsics, everywhere=True)
        landmarks = Landmarks.none(stamp_ns, intrinsics)
        remarks = (interruption,) if interruption else ()
        return OdometryStep(
            None, stamp_ns, None, None, sources.NONE, landmarks, TrackCounts(), remarks
        )
