# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The newest frames, their tracks, and the scale that both share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.geometry.frames import invert, rotation_vector
from sfm_depth_ros.visual_odometry.bundle import (
    PairTerm,
    Refined,
    Window,
    refine,
    view_information,
)
from sfm_depth_ros.visual_odometry.median import median
from sfm_depth_ros.visual_odometry.odometer_input import MeasuredMotion
from sfm_depth_ros.visual_odometry.options import OdometerOptions
from sfm_depth_ros.visual_odometry.pose_fit import PoseFit
from sfm_depth_ros.visual_odometry.track_table import TrackTable

AGREES = 4.0  # standard deviations that a static track may be off
_INVERSE_DEPTH_DRIFT = 0.03  # relative, a frame: a track wanders on its surface


@dataclass(eq=False)
class WindowFrame:
    """One image of the window."""

    stamp_ns: int
    pose: np.ndarray  # (4, 4) T_world_camera
    seen: PoseFit | None = None  # motion since the frame before, by the image alone
    measured: MeasuredMotion | None = None  # the same by the odometer
    is_settled: bool = False  # the odometer's final measurement has been taken
    trusts_length: bool = True
    surprise: np.ndarray | None = None  # (3,) rad^2, extra variance of the measured rotation
    # motion since the frame before as refined first, by the image alone, and its covariance, until
    # the odometer's final measurement is compared with it
    refined: tuple[np.ndarray, np.ndarray] | None = None


class SlidingWindow:
    """Frames, oldest first, and the tracks seen in the newest."""

    def __init__(self, stamp_ns: int, options: OdometerOptions) -> None:
        """Begin with one frame and no tracks."""
        self._options = options
        self.frames = [WindowFrame(stamp_ns, np.eye(4))]
        self.tracks = TrackTable.empty()
        self.published = np.eye(4)  # newest pose as it was published
        self.noise = options.pixel_noise  # pixels
        self.flow = 0.0  # pixels, median of the newest motion

    @property
    def newest(self) -> WindowFrame:
        """The newest frame."""
        return self.frames[-1]

    @property
    def variance(self) -> np.ndarray:
        """``(N,)`` of the inverse depths, as uncertain as they are in the next image."""
        tracks = self.tracks
        return tracks.variance + (_INVERSE_DEPTH_DRIFT * tracks.inverse_depth) ** 2

    @property
    def inflation(self) -> float:
        """Factor on the noise: neighbouring tracks err together, the more the faster they move."""
        return 1.0 + self._options.inflation_by_flow * self.flow

    def newest_rate(self) -> np.ndarray:
        """Newest motion a second, ``(6,)`` translation (m/s) and rotation (rad/s)."""
        before, newest = self.frames[-2], self.frames[-1]
        motion = invert(before.pose) @ newest.pose
        rotation = rotation_vector(motion[:3, :3])
        seconds = (newest.stamp_ns - before.stamp_ns) * 1e-9
        return np.concatenate([motion[:3, 3], rotation]) / seconds

    def select(self, found: np.ndarray, flow: np.ndarray) -> None:
        """Keep the tracks that reach the next image.

        Args:
            found: ``(N,)`` whether each does.
            flow: ``(M, 2)`` pixels that those moved.
        """
        self.tracks = self.tracks.selected(found)
        self.flow = median(np.hypot(flow[:, 0], flow[:, 1])) if len(flow) else 0.0

    def append(
        self, stamp_ns: int, fit: PoseFit, pixels: np.ndarray, rays: np.ndarray
    ) -> np.ndarray:
        """Add the next frame.

        Returns:
            ``(N,)`` whether each track agrees with the motion.
        """
        agrees = fit.deviations < AGREES
        tracks = self.tracks
        inverse_depth = tracks.inverse_depth + np.where(agrees, fit.inverse_depth_step, 0.0)
        strikes = np.where(agrees, np.maximum(tracks.strikes - 1, 0), tracks.strikes + 2)
        self.tracks = tracks.updated(np.maximum(inverse_depth, 1e-4), self.variance, strikes)
        self.tracks = self.tracks.moved(fit.T_earlier_later, pixels, rays)
        pose = self.newest.pose @ fit.T_earlier_later
        self.frames.append(WindowFrame(stamp_ns, pose, seen=fit))
        return agrees

    def shorten(self, focal: float) -> None:
        """Drop a frame where there are too many: one without parallax first, else the oldest.

        The newest frames stay: tracks that begin there have no other views.
        """
        if len(self.frames) <= self._options.frames:
            return
        places = np.array([frame.pose[:3, 3] for frame in self.frames[: -self._options.free]])
        steps = np.sqrt(((places[1:] - places[:-1]) ** 2).sum(1))
        nearness = median(self.tracks.inverse_depth) if len(self.tracks) else 0.0
        if focal * steps.min() * nearness < self._options.parallax_pixels:
            index = int(steps.argmin()) + 1
            self._drop(index)
            # what was measured up to the next frame no longer fits its pair
            after = self.frames[index]
            after.seen = after.measured = after.refined = None
        else:
            inverse_depth, information = view_information(self._window((), focal), 0)
            self.tracks = self.tracks.with_old_view(inverse_depth, information)
            self._drop(0)

    def refine(self, terms: Sequence[PairTerm], focal: float) -> np.ndarray:
        """Refine poses and inverse depths jointly.

        Returns:
            ``(6, 6)`` covariance of the newest motion in the newest camera's axes.

        Raises:
            np.linalg.LinAlgError: The motion is not determined.
        """
        window = self._window(terms, focal)
        refined = refine(window, self._options.iterations, self._options.least_step)
        if not np.isfinite(refined.poses).all():
            raise np.linalg.LinAlgError("refinement diverged")
        for frame, pose in zip(self.frames, refined.poses, strict=True):
            frame.pose = pose
        variance = np.where(np.isnan(window.rays[:, -2, 0]), self.tracks.variance,
                            refined.inverse_depth_variance)  # fmt: skip
        self.tracks = self.tracks.updated(
            np.maximum(refined.inverse_depth, 1e-4), variance, self.tracks.strikes
        )
        floor = self._options.pixel_noise
        # a ceiling: tracks on moving things must not make room for more of them
        self.noise = 0.9 * self.noise + 0.1 * min(max(refined.noise, 0.5 * floor), 1.5 * floor)
        return self._motion_covariance(refined)

    def rescale(self, factor: float) -> None:
        """Let every metre be ``factor`` metres."""
        for frame in self.frames:
            frame.pose[:3, 3] *= factor
        self.published[:3, 3] *= factor
        self.tracks = self.tracks.rescaled(factor)

    def restart(self, stamp_ns: int) -> None:
        """Begin anew with one frame and no tracks."""
        self.frames = [WindowFrame(stamp_ns, np.eye(4))]
        self.published = np.eye(4)
        self.tracks = TrackTable.empty()

    def _drop(self, index: int) -> None:
        del self.frames[index]
        self.tracks = self.tracks.without_frame(index)

    def _window(self, terms: Sequence[PairTerm], focal: float) -> Window:
        tracks = self.tracks
        rays = tracks.rays.copy()
        rays[tracks.strikes > 0, :-1] = np.nan
        poses = np.array([frame.pose for frame in self.frames])
        free = min(self._options.free, len(self.frames) - 1)
        noise = max(self.noise, self._options.pixel_noise)
        return Window(poses, free, rays, tracks.inverse_depth, focal, noise,
                      self.inflation, tuple(terms))  # fmt: skip

    def _motion_covariance(self, refined: Refined) -> np.ndarray:
        """Covariance of the newest pose relative to the one before."""
        full = refined.covariance
        covariance = full[:6, :6]
        if full.shape[0] >= 12:
            cross = full[:6, 6:12]
            covariance = covariance - cross - cross.T + full[6:12, 6:12]
        newest, before = refined.poses[-1], refined.poses[-2]
        to_camera = np.zeros((6, 6))
        to_camera[:3, :3] = to_camera[3:, 3:] = newest[:3, :3].T
        covariance = to_camera @ covariance @ to_camera.T
        length = math.dist(newest[:3, 3].tolist(), before[:3, 3].tolist())
        translation = self._options.translation_floor * length + 1e-4
        floor = np.repeat((translation**2, self._options.rotation_floor**2), 3)
        covariance.ravel()[::7] += floor
        return covariance
