# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera motion and landmarks from one image after another."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.data.velocity import VelocityBuffer
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import invert, rotation_matrix, rotation_vector
from sfm_depth_ros.visual_odometry import odometry_step as sources
from sfm_depth_ros.visual_odometry.bundle import PairTerm
from sfm_depth_ros.visual_odometry.landmarks import Landmarks
from sfm_depth_ros.visual_odometry.motion_terms import (
    full_term,
    length_term,
    network_term,
    without_bias,
)
from sfm_depth_ros.visual_odometry.odometer_input import MeasuredMotion, OdometerInput
from sfm_depth_ros.visual_odometry.odometer_trust import LengthTrust, RotationTrust
from sfm_depth_ros.visual_odometry.odometry_step import MotionPrior, OdometryStep, TrackCounts
from sfm_depth_ros.visual_odometry.options import OdometerOptions
from sfm_depth_ros.visual_odometry.pose_fit import (
    PoseFit,
    PosePrior,
    epipolar_pose,
    fit_pose,
    triangulate,
)
from sfm_depth_ros.visual_odometry.sliding_window import SlidingWindow, WindowFrame
from sfm_depth_ros.visual_odometry.standstill import is_standing
from sfm_depth_ros.visual_odometry.time_offset import TimeOffsetEstimator
from sfm_depth_ros.visual_odometry.tracker import PointTracker

MODES = ("visual", "fused", "network")
_LANDMARK_AGE = 3  # images
_LANDMARK_STD = 0.5  # of the inverse depth, relative: above, the depth is not known
_ODOMETER_ROTATION = 0.02  # rad a motion, of the odometer alone
_FALLBACK_SHARE = 0.1  # of a motion that is not confirmed by the image


class _NoMotionError(Exception):
    """The image does not give the motion; the message is the remark."""


class VisualOdometer:
    """Tracks one camera; not thread-safe.

    Args:
        velocities: The odometer's memory, which may lag behind the images; None without odometer.
        mode: ``visual`` takes only the length of the displacement from the odometer,
            ``fused`` its rotation too, ``network`` publishes the pose network's motion
            (landmarks are still triangulated).
        options: Of the estimator.
    """

    def __init__(
        self,
        velocities: VelocityBuffer | None,
        mode: str = "fused",
        options: OdometerOptions | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}, expected one of {', '.join(MODES)}")
        self._mode = mode
        self._options = options or OdometerOptions()
        self._odometer = OdometerInput(velocities)
        self._rotation_trust = RotationTrust()
        self._length_trust = LengthTrust()
        self._time_offset = TimeOffsetEstimator()
        self._next_id = 0
        self.reset()

    def reset(self) -> None:
        """Drop tracks, landmarks and window; statistics of the odometer stay."""
        self._tracker = PointTracker(self._options.tracker)
        self._window: SlidingWindow | None = None
        self._grey = np.zeros((0, 0), np.uint8)
        self._intrinsics: Intrinsics | None = None
        self._stamp_ns = 0
        self._rate: np.ndarray | None = None  # (6,) newest motion a second: translation, rotation
        self._has_depth = False

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

        A stamp that jumps, other intrinsics or a cut reset by themselves and are remarked.

        Args:
            grey: ``(H, W)`` uint8 rectified image at the tracking width.
            stamp_ns: Time of exposure in nanoseconds.
            intrinsics: Camera of exactly this image.
            valid: ``(H, W)`` bool, False where the image has no source; None = all valid.
            network: The pose network's motion from the image before to this one.
        """
        if grey.dtype != np.uint8 or grey.shape != (intrinsics.height, intrinsics.width):
            raise ValueError(
                f"expected uint8 ({intrinsics.height}, {intrinsics.width}), got {grey.dtype} "
                f"{grey.shape}"
            )
        interruption = self._interruption(stamp_ns, intrinsics)
        if interruption or self._window is None:
            return self._begin(grey, stamp_ns, intrinsics, valid, interruption)
        earlier_ns, self._stamp_ns = self._stamp_ns, stamp_ns
        step = self._step(self._window, grey, earlier_ns, intrinsics, network)
        if step.source != sources.STANDING:
            self._grey = grey
            self._add_corners(self._window, grey, valid, everywhere=not len(self._window.tracks))
        return step

    # --- one image -------------------------------------------------------------------------

    def _step(
        self,
        window: SlidingWindow,
        grey: np.ndarray,
        earlier_ns: int,
        intrinsics: Intrinsics,
        network: MotionPrior | None,
    ) -> OdometryStep:
        measured = self._odometer.between(window.newest.stamp_ns, self._stamp_ns)
        predicted = self._predicted(window, measured, network)
        guess = self._guess(window, predicted, intrinsics)
        pixels, found = self._tracker.follow(self._grey, grey, window.tracks.pixels, guess)
        still, remark = is_standing(
            pixels[found] - window.tracks.pixels[found], measured, self._options
        )
        if still:
            return self._stand(window, earlier_ns, measured, intrinsics, remark)
        window.tracks = window.tracks.selected(found)
        pixels = pixels[found]
        flow = pixels - window.tracks.pixels
        window.flow = float(np.median(np.hypot(flow[:, 0], flow[:, 1]))) if len(flow) else 0.0
        rays = _rays(pixels, intrinsics)
        try:
            fit = self._fit(window, rays, predicted, measured, network, intrinsics)
        except _NoMotionError as reason:
            return self._fall_back(window, earlier_ns, measured, network, intrinsics, str(reason))
        agrees = window.append(self._stamp_ns, fit, pixels, rays)
        window.tracks = window.tracks.selected(window.tracks.strikes < 4)
        window.shorten(_focal(intrinsics))
        if not self._has_depth:
            window.newest.measured, window.newest.is_settled = measured, True
            self._has_depth = True
            self._length_trust.restart()
        self._take_odometer(window)
        try:
            covariance = window.refine(self._terms(window, network), _focal(intrinsics))
        except np.linalg.LinAlgError:
            reason = "the motion is not determined by the tracks"
            return self._fall_back(window, earlier_ns, measured, network, intrinsics, reason)
        T = invert(window.published) @ window.newest.pose
        self.inc = window.pair_motion(len(window.frames)-1)
        self._remember(window, T)
        return self._result(window, earlier_ns, T, covariance, agrees, network, intrinsics)

    def _fit(
        self,
        window: SlidingWindow,
        rays: np.ndarray,
        predicted: np.ndarray | None,
        measured: MeasuredMotion | None,
        network: MotionPrior | None,
        intrinsics: Intrinsics,
    ) -> PoseFit:
        """Motion since the newest frame of the window, by the image alone."""
        options = self._options
        if len(rays) < options.fewest_tracks:
            raise _NoMotionError(f"{len(rays)} tracks, {options.fewest_tracks} are needed")
        if not self._has_depth:
            return self._first_fit(window, rays, measured, network, intrinsics)
        fit = None
        if predicted is not None:
            fit = self._fit_from(window, rays, predicted, intrinsics)
        if fit is None or np.mean(fit.deviations < 3.0) < 0.6:
            found = epipolar_pose(window.tracks.rays[:, -1], rays, _focal(intrinsics))
            if found is not None:
                length = self._length(predicted, measured)
                again = self._fit_from(window, rays, _scaled(found[0], length), intrinsics)
                if fit is None or again.deviations.mean() < fit.deviations.mean():
                    fit = again
        share = 0.0 if fit is None else float(np.mean(fit.deviations < 4.0))
        if fit is None or share < options.least_agreement:
            raise _NoMotionError(f"{share:.0%} of the tracks agree on a motion")
        return fit

    def _fit_from(
        self, window: SlidingWindow, rays: np.ndarray, start: np.ndarray, intrinsics: Intrinsics
    ) -> PoseFit:
        length = float(np.linalg.norm(start[:3, 3]))
        information = np.array([(0.3 * length + 0.02) ** -2.0] * 3 + [0.03**-2.0] * 3)
        tracks = window.tracks
        return fit_pose(
            tracks.bearings, tracks.inverse_depth, window.variance, rays,
            PosePrior(start, information), _focal(intrinsics),
            max(window.noise, self._options.pixel_noise),
        )  # fmt: skip

    def _first_fit(
        self,
        window: SlidingWindow,
        rays: np.ndarray,
        measured: MeasuredMotion | None,
        network: MotionPrior | None,
        intrinsics: Intrinsics,
    ) -> PoseFit:
        """Motion between the first two images: direction from epipolar geometry."""
        metric = network.T_earlier_later if network is not None else None
        metric = measured.T_earlier_later if measured is not None else metric
        if metric is None:
            raise _NoMotionError("no odometer: the length of the motion is unknown")
        length = float(np.linalg.norm(metric[:3, 3]))
        if length < self._options.least_length:
            raise _NoMotionError("the motion is too short to triangulate")
        found = epipolar_pose(window.tracks.rays[:, -1], rays, _focal(intrinsics))
        if found is None or found[1] < self._options.least_agreement:
            raise _NoMotionError("no epipolar geometry fits the tracks")
        start = _scaled(found[0], length)
        tracks = window.tracks
        depth = triangulate(tracks.bearings, rays, start, tracks.inverse_depth)
        window.tracks = tracks.updated(depth, np.full(len(tracks), 0.05**2), tracks.strikes)
        return self._fit_from(window, rays, start, intrinsics)

    # --- the odometer ----------------------------------------------------------------------

    def _take_odometer(self, window: SlidingWindow) -> None:
        """Ask for measurements that were missing; judge and use those that are final."""
        for index in range(1, len(window.frames)):
            frame, before = window.frames[index], window.frames[index - 1]
            if frame.measured is None or frame.measured.is_extrapolated:
                frame.measured = self._odometer.between(before.stamp_ns, frame.stamp_ns)
            if frame.is_settled:
                continue
            if frame.measured is None:
                if index == len(window.frames) - 1:
                    self._length_trust.coast()
            elif not frame.measured.is_extrapolated:
                frame.is_settled = True
                if frame.seen is not None:
                    self._judge(window, index, frame)

    def _judge(self, window: SlidingWindow, index: int, frame: WindowFrame) -> None:
        """Compare one final measurement with the image; correct the scale by it."""
        assert frame.measured is not None and frame.seen is not None
        seen, measured = frame.seen.T_earlier_later, frame.measured.T_earlier_later
        before_ns = window.frames[index - 1].stamp_ns
        seconds = (frame.stamp_ns - before_ns) * 1e-9
        length, visual_length = frame.measured.length, float(np.linalg.norm(seen[:3, 3]))
        moves = min(length, visual_length) > self._options.least_length
        rotation = rotation_vector(seen[:3, :3].T @ measured[:3, :3])
        variance = np.diag(frame.seen.covariance) * window.inflation**2
        direction = None
        if moves:
            direction = seen[:3, :3].T @ (
                measured[:3, 3] / length - seen[:3, 3] / visual_length
            )
            direction = direction[:2]
        frame.surprise = self._rotation_trust.observe(
            rotation, direction, seconds, variance[3:], variance[:2] / max(length, 1e-3) ** 2
        )
        velocities = self._odometer.velocities
        if velocities is not None:
            turned = rotation_vector(seen[:3, :3])
            self._time_offset.observe(before_ns, frame.stamp_ns, turned, velocities)
        if not moves:
            return
        correction = self._length_trust.update(float(np.log(length / visual_length)))
        frame.trusts_length = correction is not None
        if correction is not None:
            window.rescale(float(np.exp(correction)))

    def _terms(self, window: SlidingWindow, network: MotionPrior | None) -> list[PairTerm]:
        """What the odometer and the network say of the motions that are refined."""
        terms = []
        first = max(1, len(window.frames) - self._options.free)
        for index in range(first, len(window.frames)):
            frame, before = window.frames[index], window.frames[index - 1]
            if frame.measured is None:
                continue
            if frame.trusts_length:
                terms.append(length_term(index, frame.measured, self._options.length_noise))
            if self._mode == "fused":
                seconds = (frame.stamp_ns - before.stamp_ns) * 1e-9
                surprise = np.zeros(3) if frame.surprise is None else frame.surprise
                terms.append(
                    full_term(index, frame.measured, seconds, self._rotation_trust, surprise)
                )
        if network is not None and self._mode == "fused" and len(window.frames) > 1:
            terms.append(network_term(len(window.frames) - 1, network))
        return terms

    # --- prediction ------------------------------------------------------------------------

    def _predicted(
        self,
        window: SlidingWindow,
        measured: MeasuredMotion | None,
        network: MotionPrior | None,
    ) -> np.ndarray | None:
        """Motion to expect since the newest frame of the window."""
        seconds = (self._stamp_ns - window.newest.stamp_ns) * 1e-9
        if self._mode == "fused" and measured is not None:
            return without_bias(measured.T_earlier_later, self._rotation_trust.bias * seconds)
        if self._rate is None:
            return None if network is None else network.T_earlier_later
        predicted = np.eye(4)
        predicted[:3, :3] = rotation_matrix(self._rate[3:] * seconds)
        predicted[:3, 3] = self._rate[:3] * seconds
        length = float(np.linalg.norm(predicted[:3, 3]))
        if measured is not None and length > 1e-6:
            predicted[:3, 3] *= measured.length / length
        return predicted

    def _length(self, predicted: np.ndarray | None, measured: MeasuredMotion | None) -> float:
        if measured is not None:
            return measured.length
        return 0.0 if predicted is None else float(np.linalg.norm(predicted[:3, 3]))

    def _guess(
        self, window: SlidingWindow, predicted: np.ndarray | None, intrinsics: Intrinsics
    ) -> np.ndarray | None:
        """Pixels where the tracks should be; None where nothing is known."""
        if predicted is None or not self._has_depth:
            return None
        tracks = window.tracks
        direction = tracks.bearings - tracks.inverse_depth[:, None] * predicted[:3, 3]
        local = direction @ predicted[:3, :3]
        uv = local[:, :2] / np.maximum(local[:, 2:], 0.05)
        pixels = uv * [intrinsics.fx, intrinsics.fy] + [intrinsics.cx, intrinsics.cy]
        bounds = np.array([intrinsics.width, intrinsics.height])
        return np.clip(pixels, -bounds, 2 * bounds).astype(np.float32)

    def _remember(self, window: SlidingWindow, T: np.ndarray) -> None:
        """The newest motion, for the next prediction and the next increment."""
        seconds = (window.newest.stamp_ns - window.frames[-2].stamp_ns) * 1e-9
        motion = window.pair_motion(len(window.frames) - 1)
        turn = rotation_vector(motion[:3, :3])
        self._rate = np.concatenate([motion[:3, 3], turn]) / seconds
        window.published = window.newest.pose.copy()

    # --- results ---------------------------------------------------------------------------

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
        self._add_corners(self._window, grey, valid, everywhere=True)
        remarks = (interruption,) if interruption else ()
        landmarks = Landmarks.none(stamp_ns, intrinsics)
        return OdometryStep(
            None, stamp_ns, None, None, sources.NONE, landmarks, TrackCounts(), remarks
        )

    def _stand(
        self,
        window: SlidingWindow,
        earlier_ns: int,
        measured: MeasuredMotion | None,
        intrinsics: Intrinsics,
        remark: str,
    ) -> OdometryStep:
        """No motion at all: the window keeps its newest image, so that creeping adds up."""
        if measured is None or measured.length < 0.003 or remark:
            window.newest.stamp_ns = self._stamp_ns
        self._rate = np.zeros(6)
        covariance = np.diag([1e-3**2] * 3 + [1e-4**2] * 3)
        counts = TrackCounts(len(window.tracks), len(window.tracks))
        return OdometryStep(
            earlier_ns, self._stamp_ns, np.eye(4), covariance, sources.STANDING,
            self._landmarks(window, intrinsics), counts, (remark,) if remark else (),
            "", self._time_offset.estimate,
        )  # fmt: skip

    def _fall_back(
        self,
        window: SlidingWindow,
        earlier_ns: int,
        measured: MeasuredMotion | None,
        network: MotionPrior | None,
        intrinsics: Intrinsics,
        reason: str,
    ) -> OdometryStep:
        """The next source's motion; poses and inverse depths begin anew."""
        tracked = len(window.tracks)
        self._has_depth = False
        self._rate = None
        window.tracks = window.tracks.selected(np.zeros(tracked, bool))
        window.restart(self._stamp_ns)
        T, covariance, source, length_source = None, None, sources.NONE, ""
        if measured is not None and (self._mode == "fused" or network is None):
            T, source, length_source = measured.T_earlier_later, sources.ODOMETER, "odometer"
            sigma = _FALLBACK_SHARE * measured.length + 0.005
            covariance = np.diag([sigma**2] * 3 + [_ODOMETER_ROTATION**2] * 3)
        elif network is not None:
            T, covariance = network.T_earlier_later, network.covariance
            source, length_source = sources.NETWORK, "network"
        return OdometryStep(
            earlier_ns, self._stamp_ns, T, covariance, source,
            Landmarks.none(self._stamp_ns, intrinsics), TrackCounts(tracked), (reason,),
            length_source, self._time_offset.estimate,
        )  # fmt: skip

    def _result(
        self,
        window: SlidingWindow,
        earlier_ns: int,
        T: np.ndarray,
        covariance: np.ndarray,
        agrees: np.ndarray,
        network: MotionPrior | None,
        intrinsics: Intrinsics,
    ) -> OdometryStep:
        frame = window.newest
        source, remarks = sources.VISUAL, []
        length_source = "landmarks"
        if frame.measured is not None and frame.trusts_length:
            length_source = "extrapolated" if frame.measured.is_extrapolated else "odometer"
        if frame.measured is not None and self._mode == "fused":
            source = sources.FUSED
        if frame.measured is None and self._odometer.velocities is not None:
            remarks.append("no odometry: the length comes from the landmarks")
        if not frame.trusts_length:
            remarks.append("the odometer's length contradicts the landmarks (wheel slip?)")
        if self._rotation_trust.bias.any() and self._mode == "fused":
            remarks.append("the odometer's rotation has a bias")
        if self._mode == "network" and network is not None:
            T, covariance, source = network.T_earlier_later, network.covariance, sources.NETWORK
            length_source = "network"
        landmarks = self._landmarks(window, intrinsics)
        moving = int((window.tracks.strikes > 0).sum())
        counts = TrackCounts(len(agrees), int(agrees.sum()), moving, len(landmarks))
        return OdometryStep(
            earlier_ns, self._stamp_ns, T, covariance, source, landmarks, counts,
            tuple(remarks), length_source, self._time_offset.estimate,
        )  # fmt: skip

    def _landmarks(self, window: SlidingWindow, intrinsics: Intrinsics) -> Landmarks:
        if not self._has_depth:
            return Landmarks.none(self._stamp_ns, intrinsics)
        tracks = window.tracks
        inverse_depth, variance = tracks.fused_inverse_depth()
        # the scale is common to all landmarks, and uncertain by itself
        variance = variance + (self._length_trust.deviation * inverse_depth) ** 2
        std = np.sqrt(variance)
        chosen = (tracks.age >= _LANDMARK_AGE) & (tracks.strikes == 0)
        chosen &= std < _LANDMARK_STD * inverse_depth
        return Landmarks(
            self._stamp_ns, intrinsics, tracks.pixels, inverse_depth, std, tracks.age, tracks.ids
        ).selected(chosen)

    # --- tracks ----------------------------------------------------------------------------

    def _interruption(self, stamp_ns: int, intrinsics: Intrinsics) -> str:
        """Reason why this image does not continue the one before, or an empty string."""
        if self._window is None:
            return ""
        seconds = (stamp_ns - self._stamp_ns) * 1e-9
        if not 0 < seconds <= self._options.max_gap_s:
            self._time_offset.clear()
            return f"{seconds:.3f} s since the image before: tracks dropped"
        if intrinsics != self._intrinsics:
            return "other intrinsics: tracks dropped"
        return ""

    def _add_corners(
        self, window: SlidingWindow, grey: np.ndarray, valid: np.ndarray | None, everywhere: bool
    ) -> None:
        assert self._intrinsics is not None
        new = self._tracker.new_corners(grey, window.tracks.pixels, valid, everywhere)
        window.tracks = window.tracks.with_corners(
            self._next_id, new, _rays(new, self._intrinsics)
        )
        self._next_id += len(new)


def _focal(intrinsics: Intrinsics) -> float:
    return 0.5 * (intrinsics.fx + intrinsics.fy)


def _rays(pixels: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """x/z and y/z of pixels, ``(N, 2)`` float64."""
    centred = pixels.astype(np.float64) - [intrinsics.cx, intrinsics.cy]
    return centred / [intrinsics.fx, intrinsics.fy]


def _scaled(T: np.ndarray, length: float) -> np.ndarray:
    """The motion with a translation of another length."""
    scaled = T.copy()
    scaled[:3, 3] *= length / max(float(np.linalg.norm(T[:3, 3])), 1e-9)
    return scaled
