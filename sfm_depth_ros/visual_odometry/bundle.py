# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Joint refinement of a window: poses and landmarks by Gauss-Newton with the Schur complement.

A landmark is (x, y, inverse depth) in the newest camera, where every living track is seen: so far
points are as well conditioned as near ones (Civera et al., T-RO 2008), and a track without
parallax constrains the rotation alone. Triggs et al., "Bundle adjustment: a modern synthesis".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from sfm_depth_ros.geometry.frames import rotation_matrix, rotation_vector
from sfm_depth_ros.visual_odometry.median import median

_ANNEALED = 4.0  # times the expected noise: the most that a poor start may widen it
_CAUCHY = 2.0  # standard deviations at which an observation has half its weight
_WEAK_INFORMATION = 1e-3  # m^2, of an inverse depth that nothing determines
_IDENTITY = np.eye(3)
_SMALLEST_Z = 1e-3  # of a point's direction in a view: behind the camera below


@dataclass(frozen=True, eq=False)
class PairTerm:
    """Measurement of the motion between two frames of the window."""

    earlier: int  # index in the window
    later: int  # one of the free ones
    T_earlier_later: np.ndarray  # (4, 4) measured; its length alone without ``root``
    length_information: float = 0.0  # 1/m^2
    root: np.ndarray | None = None  # (6, 6) square root of the information of translation and
    # rotation in the later camera


@dataclass(frozen=True, eq=False)
class Refined:
    """A window after refinement."""

    poses: np.ndarray  # (F, 4, 4) T_world_frame
    inverse_depth: np.ndarray  # (N,) 1/m in the newest camera
    covariance: np.ndarray  # (6 V, 6 V) of the free poses (world axes), newest first
    inverse_depth_variance: np.ndarray  # (N,)
    noise: float  # pixels, robust standard deviation of one coordinate


@dataclass(frozen=True, eq=False)
class Window:
    """Poses and points that are refined."""

    poses: np.ndarray  # (F, 4, 4) T_world_frame, oldest first
    free: int  # the newest so many poses are refined, the older ones held
    rays: np.ndarray  # (N, F, 2) x/z, y/z as observed, NaN where not seen; newest always seen
    inverse_depth: np.ndarray  # (N,) 1/m in the newest camera, first guess
    focal: float  # pixels
    noise: float  # pixels, expected standard deviation of one coordinate
    inflation: float = 1.0  # of the noise, as neighbours err together
    terms: tuple[PairTerm, ...] = ()


def refine(window: Window, iterations: int = 2, least_step: float = 0.0) -> Refined:
    """Refine the free poses and all inverse depths.

    Args:
        window: Poses and points that are refined.
        iterations: Steps, at most.
        least_step: In variances a degree of freedom; a smaller step is the last.

    Raises:
        np.linalg.LinAlgError: The free poses are not determined.
    """
    poses, rho = window.poses.copy(), window.inverse_depth.copy()
    views = _Views.of(window)
    for _ in range(iterations):
        system = _Linearised.at(window, views, poses, rho)
        step = np.linalg.solve(system.reduced, -system.gradient)
        rho = np.clip(rho - system.inverse_depth_step(step), -0.05, 5.0)
        for number in range(window.free):
            _move(poses[len(poses) - 1 - number], step[6 * number : 6 * number + 6])
        # by the image: against an odometer that is sure of itself every step is long
        if step @ system.by_image @ step < least_step * len(step):
            break
    # as linearised before the last step, which is small by then
    covariance = np.linalg.inv(system.reduced)
    variance = system.inverse_depth_variance(covariance)
    return Refined(poses, rho, covariance, variance, system.noise)


def _noise_of(distances: np.ndarray) -> float:
    """Robust standard deviation of one coordinate, of distances in the plane."""
    # the median of a Rayleigh distribution is 1.1774 standard deviations of a coordinate
    return median(distances) / 1.1774 if distances.size else 0.0


def _move(pose: np.ndarray, step: np.ndarray) -> None:
    pose[:3, 3] += step[:3]
    rotated = rotation_matrix(step[3:]) @ pose[:3, :3]
    # orthonormal again (one Newton step towards the polar factor): rounding errors would double
    # with every motion chained from the last
    pose[:3, :3] = rotated @ (1.5 * _IDENTITY - 0.5 * (rotated.T @ rotated))


@dataclass(frozen=True, eq=False)
class _Views:
    """Observations of a window, one row a frame: numpy is fastest along the tracks."""

    bearings: np.ndarray  # (3, N) in the newest camera, z = 1
    rays: np.ndarray  # (K, 2, N) in the K older frames, 0 where not seen
    seen: np.ndarray  # (K, N) bool

    @classmethod
    def of(cls, window: Window) -> _Views:
        rays = np.ascontiguousarray(window.rays.transpose(1, 2, 0))
        bearings = np.ones((3, rays.shape[2]))
        bearings[:2] = rays[-1]
        seen = np.isfinite(rays[:-1, 0])
        return cls(bearings, np.where(seen[:, None], rays[:-1], 0.0), seen)


@dataclass(frozen=True, eq=False)
class _Projection:
    """Points in the K older frames of a window."""

    bearings: np.ndarray  # (3, N) in the newest camera, world axes
    relative: np.ndarray  # (K, 3) from each frame's centre to the newest, world axes
    uv: np.ndarray  # (K, 2, N) x/z, y/z
    scale: np.ndarray  # (K, N) focal length over z
    residuals: np.ndarray  # (K, 2, N) pixels
    by_depth: np.ndarray  # (K, 2, N) pixels per 1/m

    @classmethod
    def at(cls, views: _Views, poses: np.ndarray, rho: np.ndarray, focal: float) -> _Projection:
        to_frame = poses[:-1, :3, :3].transpose(0, 2, 1)
        bearings = poses[-1, :3, :3] @ views.bearings
        relative = poses[-1, :3, 3] - poses[:-1, :3, 3]
        shift = to_frame @ relative[:, :, None]  # (K, 3, 1)
        local = to_frame @ bearings + rho * shift
        z = np.maximum(local[:, 2], _SMALLEST_Z)
        uv = local[:, :2] / z[:, None]
        scale = focal / z
        by_depth = (shift[:, :2] - uv * shift[:, 2:]) * scale[:, None]
        return cls(bearings, relative, uv, scale, focal * (uv - views.rays), by_depth)

    def by_newest(self, rotations: np.ndarray, rho: np.ndarray) -> np.ndarray:
        """Derivatives ``(K, 6, 2, N)`` of the residuals by the newest pose."""
        # rows of d(pixel)/d(world vector)
        rows = rotations[:, :, :2, None] - rotations[:, :, 2:, None] * self.uv[:, None]
        rows *= self.scale[:, None, None]
        derivatives = np.empty((len(rows), 6, *rows.shape[2:]))
        np.multiply(rows, rho, out=derivatives[:, :3])
        x, y, z = self.bearings
        derivatives[:, 3] = y * rows[:, 2] - z * rows[:, 1]
        derivatives[:, 4] = z * rows[:, 0] - x * rows[:, 2]
        derivatives[:, 5] = x * rows[:, 1] - y * rows[:, 0]
        return derivatives


@dataclass(frozen=True, eq=False)
class _Linearised:
    """Normal equations at one guess, inverse depths eliminated."""

    reduced: np.ndarray  # (6V, 6V)
    by_image: np.ndarray  # (6V, 6V) the same without measured motions
    gradient: np.ndarray  # (6V,)
    own: np.ndarray  # (N,) information of each inverse depth
    cross: np.ndarray  # (6V + 1, N) poses by inverse depths, and the gradient of these
    noise: float

    @classmethod
    def at(cls, window: Window, views: _Views, poses: np.ndarray, rho: np.ndarray) -> _Linearised:
        seen = _Projection.at(views, poses, rho, window.focal)
        distances = np.hypot(seen.residuals[:, 0], seen.residuals[:, 1])
        noise = _noise_of(distances[views.seen])
        used = min(max(window.noise, noise), _ANNEALED * window.noise)
        # square root of Cauchy's weights, 0 where nothing was seen
        weight = views.seen / np.sqrt(1.0 + (distances / (_CAUCHY * used)) ** 2)
        weight *= 1.0 / (used * window.inflation)
        by_newest = seen.by_newest(poses[:-1, :3, :3], rho) * weight[:, None, None]
        residuals, by_depth = (
            values * weight[:, None] for values in (seen.residuals, seen.by_depth)
        )
        frames, _, _, count = by_newest.shape
        flat = by_newest.reshape(frames, 6, -1)
        blocks = np.empty((frames, 6, 7))  # of the newest pose and the gradient, by frame
        blocks[:, :, :6] = flat @ flat.transpose(0, 2, 1)
        blocks[:, :, 6:] = flat @ residuals.reshape(frames, -1, 1)
        by_newest *= by_depth[:, None]
        crossed = by_newest[:, :, 0] + by_newest[:, :, 1]  # (K, 6, N)
        size = 6 * window.free
        joint, cross = np.zeros((size, size + 1)), np.empty((size + 1, count))
        joint[:6, :6], joint[:6, size] = blocks[:, :, :6].sum(0), blocks[:, :, 6].sum(0)
        cross[:6], cross[size] = crossed.sum(0), (by_depth * residuals).sum((0, 1))
        for number in range(1, window.free):
            # a residual sees the motion between two poses: by its own pose it has the negative
            # derivative, about that pose's centre
            place, frame = slice(6 * number, 6 * number + 6), frames - number
            carried = _about_own_centre(seen.relative[frame])
            joint[place, :6] = -carried @ blocks[frame, :, :6]
            joint[:6, place] = joint[place, :6].T
            joint[place, place] = -joint[place, :6] @ carried.T
            joint[place, size] = -carried @ blocks[frame, :, 6]
            cross[place] = -carried @ crossed[frame]
        own = (by_depth**2).sum((0, 1)) + _WEAK_INFORMATION
        joint -= (cross[:size] / own) @ cross.T
        reduced, gradient = joint[:, :size].copy(), joint[:, size].copy()
        for term in window.terms:
            _add_term(reduced, gradient, poses, term)
        return cls(reduced, joint[:, :size], gradient, own, cross, noise)

    def inverse_depth_step(self, pose_step: np.ndarray) -> np.ndarray:
        """``(N,)`` to subtract from the inverse depths after the poses' step."""
        return (pose_step @ self.cross[:-1] + self.cross[-1]) / self.own

    def inverse_depth_variance(self, pose_covariance: np.ndarray) -> np.ndarray:
        """``(N,)``, with what the poses are uncertain by."""
        gain = self.cross[:-1] / self.own
        return 1.0 / self.own + ((pose_covariance @ gain) * gain).sum(0)


def _about_own_centre(relative: np.ndarray) -> np.ndarray:
    """``(6, 6)`` from derivatives by the newest pose to those by a pose ``relative`` before."""
    x, y, z = relative
    carried = np.eye(6)
    carried[3:, :3] = [[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]
    return carried


def _add_term(
    reduced: np.ndarray, gradient: np.ndarray, poses: np.ndarray, term: PairTerm
) -> None:
    """Add one motion measurement to the normal equations."""
    first, last, measured = poses[term.earlier], poses[term.later], term.T_earlier_later
    difference = last[:3, 3] - first[:3, 3]
    information, slope = np.zeros((6, 6)), np.zeros(6)
    if term.root is not None:
        # both errors in the later camera: R_measured^T (t - t_measured), log(R_measured^T R)
        to_both = (first[:3, :3] @ measured[:3, :3]).T
        errors = np.empty(6)
        errors[:3] = to_both @ difference - measured[:3, 3] @ measured[:3, :3]
        errors[3:] = rotation_vector(to_both @ last[:3, :3])
        jacobian = np.empty((6, 6))
        jacobian[:, :3] = term.root[:, :3] @ to_both
        jacobian[:, 3:] = term.root[:, 3:] @ to_both
        information = jacobian.T @ jacobian
        slope = (term.root @ errors) @ jacobian
    if term.length_information > 0:
        length = max(math.hypot(*difference.tolist()), 1e-9)
        excess = length - math.hypot(*measured[:3, 3].tolist())
        row = difference * (term.length_information / length)
        information[:3, :3] += row[:, None] * (difference / length)
        slope[:3] += row * excess
    begin = 6 * (len(poses) - 1 - term.later)
    later = slice(begin, begin + 6)
    reduced[later, later] += information
    gradient[later] += slope
    begin = 6 * (len(poses) - 1 - term.earlier)
    earlier = slice(begin, begin + 6)
    if begin < len(gradient):  # else held
        reduced[earlier, earlier] += information
        reduced[later, earlier] -= information
        reduced[earlier, later] -= information
        gradient[earlier] -= slope


def view_information(window: Window, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Inverse depth that one view alone suggests at the window's poses, and its information.

    Returns:
        ``(N,)`` 1/m in the newest camera and ``(N,)`` m^2, 0 where it does not see a track or
        disagrees with it.
    """
    pair = np.array([index, len(window.poses) - 1])
    views = _Views.of(replace(window, rays=window.rays[:, pair]))
    seen = _Projection.at(views, window.poses[pair], window.inverse_depth, window.focal)
    residual, slope = seen.residuals[0], seen.by_depth[0]  # (2, N)
    square = (slope**2).sum(0)
    agrees = views.seen[0] & (np.hypot(residual[0], residual[1]) < 3 * window.noise)
    step = (slope * residual).sum(0) / np.maximum(square, 1e-12)
    noise = window.noise * window.inflation
    information = np.where(agrees, square / noise**2, 0.0)
    return window.inverse_depth - step, information
