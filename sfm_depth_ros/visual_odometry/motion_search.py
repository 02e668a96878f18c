# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The newest motion by the image alone: predicted tracks, a fit, recovery where both fail."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import rotation_matrix
from sfm_depth_ros.visual_odometry.options import OdometerOptions
from sfm_depth_ros.visual_odometry.pose_fit import (
    PoseFit,
    PosePrior,
    epipolar_pose,
    fit_pose,
    triangulate,
)
from sfm_depth_ros.visual_odometry.sliding_window import AGREES, SlidingWindow
from sfm_depth_ros.visual_odometry.track_table import TrackTable

_LENGTH_SHARE, _LENGTH_FLOOR = 0.3, 0.02  # standard deviation of a predicted translation: metres
_ROTATION = 0.03  # rad, of a predicted rotation
_GOOD_SHARE = 0.6  # of the tracks: below, the epipolar geometry is tried as well
_SAME_WORLD = 0.5  # cosine between the epipolar and the expected direction, at least
_FIRST_STD = 0.05  # 1/m, of inverse depths after the first two views
_NEAREST_Z = 0.05


class NoMotionError(Exception):
    """The image does not give the motion; the message is the remark."""


class NoParallaxError(NoMotionError):
    """The first two images are too near each other: a later one will do."""


def focal_length(intrinsics: Intrinsics) -> float:
    """One focal length for both axes, pixels."""
    return 0.5 * (intrinsics.fx + intrinsics.fy)


def rays_of(pixels: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """x/z and y/z of pixels, ``(N, 2)`` float64."""
    centred = pixels.astype(np.float64) - [intrinsics.cx, intrinsics.cy]
    return centred / [intrinsics.fx, intrinsics.fy]


def predicted_pixels(
    tracks: TrackTable, T_earlier_later: np.ndarray, intrinsics: Intrinsics
) -> np.ndarray:
    """Pixels ``(N, 2)`` float32 where the tracks should be after a motion."""
    direction = tracks.bearings - tracks.inverse_depth[:, None] * T_earlier_later[:3, 3]
    local = direction @ T_earlier_later[:3, :3]
    uv = local[:, :2] / np.maximum(local[:, 2:], _NEAREST_Z)
    pixels = uv * [intrinsics.fx, intrinsics.fy] + [intrinsics.cx, intrinsics.cy]
    bounds = np.array([intrinsics.width, intrinsics.height])
    return np.clip(pixels, -bounds, 2 * bounds).astype(np.float32)


def constant_velocity(rate: np.ndarray, seconds: float, length: float | None) -> np.ndarray:
    """Motion ``(4, 4)`` at the rate of the one before, with the measured length if there is one.

    Args:
        rate: ``(6,)`` translation (m/s) and rotation (rad/s).
        seconds: Duration.
        length: Metres, or None.
    """
    motion = np.eye(4)
    motion[:3, :3] = rotation_matrix(rate[3:] * seconds)
    motion[:3, 3] = rate[:3] * seconds
    return motion if length is None else scaled(motion, length)


def find_motion(
    window: SlidingWindow,
    rays: np.ndarray,
    predicted: np.ndarray,
    intrinsics: Intrinsics,
    options: OdometerOptions,
) -> PoseFit:
    """Motion since the newest frame of a window whose tracks have inverse depths.

    Args:
        window: Its tracks are those that reach the new image.
        rays: ``(N, 2)`` x/z, y/z of them in the new image.
        predicted: ``(4, 4)`` motion to begin with.
        intrinsics: Of both images.
        options: Of the estimator.

    Raises:
        NoMotionError: There are too few tracks, or they do not agree.
    """
    _check_count(rays, options)
    fit = _fit_from(window, rays, predicted, intrinsics, options)
    if _agreement(fit) < _GOOD_SHARE:
        found = epipolar_pose(window.tracks.rays[:, -1], rays, focal_length(intrinsics))
        if found is not None:
            length = float(np.linalg.norm(predicted[:3, 3]))
            again = _fit_from(window, rays, scaled(found[0], length), intrinsics, options)
            if np.median(again.deviations) < np.median(fit.deviations):
                fit = again
    share = _agreement(fit)
    if share < options.least_agreement:
        raise NoMotionError(f"{share:.0%} of the tracks agree on a motion")
    return fit


def find_first_motion(
    window: SlidingWindow,
    rays: np.ndarray,
    expected: np.ndarray | None,
    intrinsics: Intrinsics,
    options: OdometerOptions,
) -> PoseFit:
    """Motion between the first two images, which gives the tracks inverse depths.

    Direction and rotation come from epipolar geometry, the length from elsewhere. A direction
    that contradicts the expected one by far is that of something large that moves: then the
    search begins at the expected motion.

    Args:
        window: Its tracks are those that reach the second image.
        rays: ``(N, 2)`` x/z, y/z of them in the second image.
        expected: ``(4, 4)`` motion in metres of the odometer or the network; None = unknown.
        intrinsics: Of both images.
        options: Of the estimator.

    Raises:
        NoMotionError: There are too few tracks, or no length.
        NoParallaxError: The motion is too short; the window is to be kept.
    """
    _check_count(rays, options)
    if expected is None:
        raise NoMotionError("no odometer: the length of the motion is unknown")
    length = float(np.linalg.norm(expected[:3, 3]))
    if length < options.least_length or _parallax(window, rays, intrinsics) < options.least_flow:
        raise NoParallaxError("waiting for parallax: the motion is too short to triangulate")
    found = epipolar_pose(window.tracks.rays[:, -1], rays, focal_length(intrinsics))
    if found is None or found[1] < options.least_agreement:
        raise NoMotionError("no epipolar geometry fits the tracks")
    start = scaled(found[0], length)
    if start[:3, 3] @ expected[:3, 3] < _SAME_WORLD * length**2:
        start = expected
    tracks = window.tracks
    depth = triangulate(tracks.bearings, rays, start, tracks.inverse_depth)
    window.tracks = tracks.updated(depth, np.full(len(tracks), _FIRST_STD**2), tracks.strikes)
    return _fit_from(window, rays, start, intrinsics, options)


def scaled(T: np.ndarray, length: float) -> np.ndarray:
    """The motion with a translation of another length."""
    motion = T.copy()
    motion[:3, 3] *= length / max(float(np.linalg.norm(T[:3, 3])), 1e-9)
    return motion


def _parallax(window: SlidingWindow, rays: np.ndarray, intrinsics: Intrinsics) -> float:
    """Median flow that no rotation explains, pixels."""
    bearings, nothing = window.tracks.bearings, np.zeros(len(rays))
    prior = PosePrior(np.eye(4), np.repeat([1.0, 1e-6], 3))
    # all points at infinity: only the rotation is fitted, and a deviation is one pixel
    fit = fit_pose(bearings, nothing, nothing, rays, prior, focal_length(intrinsics), 1.0)
    return float(np.median(fit.deviations))


def _agreement(fit: PoseFit) -> float:
    """Share of the tracks that agree with the motion."""
    return np.count_nonzero(fit.deviations < AGREES) / len(fit.deviations)


def _check_count(rays: np.ndarray, options: OdometerOptions) -> None:
    if len(rays) < options.fewest_tracks:
        raise NoMotionError(f"{len(rays)} tracks, {options.fewest_tracks} are needed")


def _fit_from(
    window: SlidingWindow,
    rays: np.ndarray,
    start: np.ndarray,
    intrinsics: Intrinsics,
    options: OdometerOptions,
) -> PoseFit:
    length = float(np.linalg.norm(start[:3, 3]))
    translation = (_LENGTH_SHARE * length + _LENGTH_FLOOR) ** -2.0
    information = np.repeat([translation, _ROTATION**-2.0], 3)
    tracks = window.tracks
    return fit_pose(
        tracks.bearings, tracks.inverse_depth, window.variance, rays,
        PosePrior(start, information), focal_length(intrinsics),
        max(window.noise, options.pixel_noise), least_step=options.least_step,
    )  # fmt: skip
