# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Joint refinement of a window: poses and landmarks by Gauss-Newton with the Schur complement.

A landmark is (x, y, inverse depth) in the newest camera, where every living track is seen: so far
points are as well conditioned as near ones (Civera et al., T-RO 2008), and a track without
parallax constrains the rotation alone. Triggs et al., "Bundle adjustment: a modern synthesis".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sfm_depth_ros.geometry.frames import (
    matrix_to_quaternion,
    quaternion_to_matrix,
    rotation_matrix,
    rotation_vector,
)

_ANNEALED = 4.0  # times the expected noise: the most that a poor start may widen it
_CAUCHY = 2.0  # standard deviations at which an observation has half its weight
_WEAK_INFORMATION = 1e-3  # m^2, of an inverse depth that nothing determines
_SMALLEST_Z = 1e-3  # of a point's direction in a view: behind the camera below


@dataclass(frozen=True, eq=False)
class PairTerm:
    """Measurement of the motion between two frames of the window."""

    earlier: int  # index in the window
    later: int
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
    residuals: np.ndarray  # (N, F - 1) pixels, NaN where not seen
    noise: float  # pixels, robust standard deviation of one coordinate


@dataclass(frozen=True, eq=False)
class Window:
    """What is refined."""

    poses: np.ndarray  # (F, 4, 4) T_world_frame, oldest first
    free: int  # the newest so many poses are refined, the older ones held
    rays: np.ndarray  # (N, F, 2) x/z, y/z as observed, NaN where not seen; newest always seen
    inverse_depth: np.ndarray  # (N,) 1/m in the newest camera, first guess
    focal: float  # pixels
    noise: float  # pixels, expected standard deviation of one coordinate
    inflation: float = 1.0  # of the noise, as neighbours err together
    terms: tuple[PairTerm, ...] = ()


def refine(window: Window, iterations: int = 2) -> Refined:
    """Refine the free poses and all inverse depths.

    Raises:
        np.linalg.LinAlgError: The free poses are not determined.
    """
    poses, rho = window.poses.copy(), window.inverse_depth.copy()
    for _ in range(iterations):
        system = _Linearised.at(window, poses, rho)
        step = np.linalg.solve(system.reduced, -system.gradient)
        rho = np.clip(rho - system.inverse_depth_step(step), -0.05, 5.0)
        for number in range(window.free):
            _move(poses[len(poses) - 1 - number], step[6 * number : 6 * number + 6])
    # as linearised before the last step, which is small by then
    covariance = np.linalg.inv(system.reduced)
    variance = system.inverse_depth_variance(covariance)
    return Refined(poses, rho, covariance, variance, system.distances, system.noise)


def _noise_of(distances: np.ndarray) -> float:
    """Robust standard deviation of one coordinate, of distances in the plane."""
    seen = distances[np.isfinite(distances)]
    # the median of a Rayleigh distribution is 1.1774 standard deviations of a coordinate
    return float(np.median(seen)) / 1.1774 if seen.size else 0.0


def _move(pose: np.ndarray, step: np.ndarray) -> None:
    pose[:3, 3] += step[:3]
    turned = rotation_matrix(step[3:]) @ pose[:3, :3]
    # orthonormal again: rounding errors would double with every motion chained from the last
    pose[:3, :3] = quaternion_to_matrix(matrix_to_quaternion(turned))


@dataclass(frozen=True, eq=False)
class _Linearised:
    """Normal equations at one guess, inverse depths eliminated."""

    reduced: np.ndarray  # (6V, 6V)
    gradient: np.ndarray  # (6V,)
    own: np.ndarray  # (N,) information of each inverse depth
    cross: np.ndarray  # (N, 6V + 1) inverse depths by poses, and their gradient
    distances: np.ndarray  # (N, F - 1) pixels
    noise: float

    @classmethod
    def at(cls, window: Window, poses: np.ndarray, rho: np.ndarray) -> _Linearised:
        residuals, by_depth, by_pose = _derivatives(window, poses, rho)
        distances = np.hypot(residuals[..., 0], residuals[..., 1])
        noise = _noise_of(distances)
        used = min(max(window.noise, noise), _ANNEALED * window.noise)
        root = np.sqrt(_robust_weights(distances / used)) / (used * window.inflation)
        root = root[..., None]  # (N, F - 1, 1)
        newest = by_pose[0] * root[..., None]
        last = distances.shape[1]
        older = [
            block * root[:, last - number : last - number + 1, :, None]
            for number, block in enumerate(by_pose[1:], 1)
        ]
        residuals = np.nan_to_num(residuals) * root
        by_depth = by_depth * root
        size = 6 * window.free
        joint = np.empty((size, size + 1))
        cross = np.empty((len(rho), size + 1))
        joint[:6, :6] = newest.reshape(-1, 6).T @ newest.reshape(-1, 6)
        joint[:6, size] = newest.reshape(-1, 6).T @ residuals.ravel()
        cross[:, :6] = np.einsum("nfk,nfkp->np", by_depth, newest)
        cross[:, size] = (by_depth * residuals).sum((1, 2))
        joint[6:, 6:size] = 0.0
        for number, block in enumerate(older, 1):
            place, frame = slice(6 * number, 6 * number + 6), last - number
            flat = block.reshape(-1, 6)
            joint[place, place] = flat.T @ flat
            joint[:6, place] = newest[:, frame].reshape(-1, 6).T @ flat
            joint[place, :6] = joint[:6, place].T
            joint[place, size] = flat.T @ residuals[:, frame].ravel()
            cross[:, place] = np.einsum("nk,nkp->np", by_depth[:, frame], block[:, 0])
        own = (by_depth**2).sum((1, 2)) + _WEAK_INFORMATION
        joint -= cross[:, :size].T @ (cross / own[:, None])
        reduced, gradient = joint[:, :size].copy(), joint[:, size].copy()
        for term in window.terms:
            _add_term(reduced, gradient, poses, term)
        return cls(reduced, gradient, own, cross, distances, noise)

    def inverse_depth_step(self, pose_step: np.ndarray) -> np.ndarray:
        """``(N,)`` to subtract from the inverse depths after the poses' step."""
        return (self.cross[:, :-1] @ pose_step + self.cross[:, -1]) / self.own

    def inverse_depth_variance(self, pose_covariance: np.ndarray) -> np.ndarray:
        """``(N,)``, with what the poses are uncertain by."""
        gain = self.cross[:, :-1] / self.own[:, None]
        return 1.0 / self.own + ((gain @ pose_covariance) * gain).sum(1)


def _derivatives(
    window: Window, poses: np.ndarray, rho: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Residuals ``(N, F - 1, 2)`` pixels and their derivatives.

    Returns:
        The residuals, the derivatives by each inverse depth, and those by the free poses: of all
        residuals ``(N, F - 1, 2, 6)`` by the newest, of its own ``(N, 1, 2, 6)`` by every other.
    """
    rotations, centres = poses[:, :3, :3], poses[:, :3, 3]
    count, frames = window.rays.shape[:2]
    newest = frames - 1
    bearing = np.ones((count, 3))
    bearing[:, :2] = window.rays[:, newest]
    bearing = bearing @ rotations[newest].T
    relative = centres[newest] - centres[:newest]  # (F - 1, 3)
    turned = bearing[:, None] + rho[:, None, None] * relative  # (N, F - 1, 3)
    local = np.matmul(turned[:, :, None], rotations[:newest])[:, :, 0]
    z = np.maximum(local[..., 2], _SMALLEST_Z)
    scale = window.focal / z
    uv = local[..., :2] / z[..., None]
    residuals = window.focal * (uv - window.rays[:, :newest])
    # rows of d(pixel)/d(world vector)
    axes = rotations[:newest].transpose(0, 2, 1)  # row k = axis k of the frame in the world
    rows = axes[:, :2] - uv[..., None] * axes[:, 2:]
    rows *= scale[..., None, None]
    by_depth = (rows @ relative[:, :, None])[..., 0]
    by_newest = np.empty((count, newest, 2, 6))
    by_newest[..., :3] = rho[:, None, None, None] * rows
    by_newest[..., 3:] = _cross(bearing[:, None, None], rows)
    by_pose = [by_newest]
    for number in range(1, window.free):
        frame = slice(newest - number, newest - number + 1)
        block = np.empty((count, 1, 2, 6))
        block[..., :3] = -rho[:, None, None, None] * rows[:, frame]
        block[..., 3:] = -_cross(turned[:, frame, None], rows[:, frame])
        by_pose.append(block)
    return residuals, by_depth, by_pose


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a x b`` over the last axis; much faster than numpy's for small arrays."""
    product = np.empty(np.broadcast_shapes(a.shape, b.shape))
    product[..., 0] = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    product[..., 1] = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    product[..., 2] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return product


def _robust_weights(distances: np.ndarray) -> np.ndarray:
    """Cauchy's weights, 0 where nothing was seen."""
    return np.nan_to_num(1.0 / (1.0 + (distances / _CAUCHY) ** 2))


def _add_term(
    reduced: np.ndarray, gradient: np.ndarray, poses: np.ndarray, term: PairTerm
) -> None:
    """Add one motion measurement to the normal equations."""
    first, last = poses[term.earlier], poses[term.later]
    difference = last[:3, 3] - first[:3, 3]
    jacobian, values = np.zeros((0, 6)), np.zeros(0)
    if term.length_information > 0:
        measured_length = float(np.linalg.norm(term.T_earlier_later[:3, 3]))
        length = float(np.linalg.norm(difference))
        root = np.sqrt(term.length_information)
        jacobian = np.zeros((1, 6))
        jacobian[0, :3] = root * difference / max(length, 1e-9)
        values = np.array([root * (length - measured_length)])
    if term.root is not None:
        # both errors in the later camera: R_measured^T (t - t_measured), log(R_measured^T R)
        to_later = term.T_earlier_later[:3, :3].T
        moved = first[:3, :3].T @ difference - term.T_earlier_later[:3, 3]
        turn = rotation_vector(to_later @ first[:3, :3].T @ last[:3, :3])
        block = np.zeros((6, 6))
        block[:3, :3] = block[3:, 3:] = to_later @ first[:3, :3].T
        jacobian = np.concatenate([jacobian, term.root @ block])
        values = np.concatenate([values, term.root @ np.concatenate([to_later @ moved, turn])])
    full = np.zeros((len(values), len(gradient)))
    for frame, sign in ((term.later, 1.0), (term.earlier, -1.0)):
        place = 6 * (len(poses) - 1 - frame)
        if place < len(gradient):
            full[:, place : place + 6] = sign * jacobian
    reduced += full.T @ full
    gradient += full.T @ values


def view_information(window: Window, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Inverse depth that one view alone suggests at the window's poses, and its information.

    Returns:
        ``(N,)`` 1/m in the newest camera and ``(N,)`` m^2, 0 where it does not see a track or
        disagrees with it.
    """
    pair = np.array([index, len(window.poses) - 1])
    alone = replace(window, poses=window.poses[pair], free=1, rays=window.rays[:, pair])
    residuals, by_depth, _ = _derivatives(alone, alone.poses, window.inverse_depth)
    residual, slope = residuals[:, 0], by_depth[:, 0]
    is_seen = np.isfinite(residual[:, 0])
    residual = np.nan_to_num(residual)
    square = (slope**2).sum(1)
    agrees = is_seen & (np.hypot(residual[:, 0], residual[:, 1]) < 3 * window.noise)
    step = (slope * residual).sum(1) / np.maximum(square, 1e-12)
    noise = window.noise * window.inflation
    information = np.where(agrees, square / noise**2, 0.0)
    return window.inverse_depth - step, information
