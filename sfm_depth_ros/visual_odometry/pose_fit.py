# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motion between two images from tracks: by their inverse depths, or from nothing at all."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sfm_depth_ros.geometry.frames import rotation_matrix, rotation_vector
from sfm_depth_ros.visual_odometry.median import median

_CAUCHY = 2.0  # standard deviations at which a track has half its weight
_NEAREST_Z = 1e-3
_FEWEST_FOR_EPIPOLAR = 12
_EPIPOLAR_PIXELS = 0.5


@dataclass(frozen=True, eq=False)
class PoseFit:
    """Motion fitted to tracks."""

    T_earlier_later: np.ndarray  # (4, 4)
    covariance: np.ndarray  # (6, 6) translation, rotation; earlier camera's axes
    deviations: np.ndarray  # (N,) standard deviations that each track is off
    inverse_depth_step: np.ndarray  # (N,) correction of the inverse depth (earlier) it suggests


@dataclass(frozen=True, eq=False)
class PosePrior:
    """Gaussian belief about the motion before the tracks are looked at."""

    T_earlier_later: np.ndarray  # (4, 4)
    information: np.ndarray  # (6,) 1/variance of translation (m) and rotation (rad)


def fit_pose(
    bearings: np.ndarray,
    inverse_depth: np.ndarray,
    variance: np.ndarray,
    rays: np.ndarray,
    prior: PosePrior,
    focal: float,
    noise: float,
    iterations: int = 3,
    least_step: float = 0.0,
) -> PoseFit:
    """Robust Gauss-Newton over one pose.

    A residual is weighed by the pixel noise across the epipolar line, and by noise and the
    uncertainty of the inverse depth along it: a young track is an epipolar constraint, an old one
    a reprojection.

    Args:
        bearings: ``(N, 3)`` directions in the earlier camera, z = 1.
        inverse_depth: ``(N,)`` 1/m in the earlier camera.
        variance: ``(N,)`` of it.
        rays: ``(N, 2)`` x/z, y/z in the later camera.
        prior: Where to begin, and how sure that is.
        focal: Pixels.
        noise: Standard deviation of a coordinate in pixels.
        iterations: Steps, at most.
        least_step: In variances a degree of freedom; a smaller step is the last.
    """
    R, t = prior.T_earlier_later[:3, :3].copy(), prior.T_earlier_later[:3, 3].copy()
    start = prior.T_earlier_later
    points, seen = np.ascontiguousarray(bearings.T), np.ascontiguousarray(rays.T)
    for step_number in range(iterations + 1):
        errors = _TrackErrors.at(points, inverse_depth, variance, seen, R, t, focal, noise)
        jacobian, residuals = errors.weighed()
        normal = jacobian @ jacobian.T + np.diag(prior.information)
        if step_number == iterations:
            break
        away = np.concatenate([t - start[:3, 3], rotation_vector(R @ start[:3, :3].T)])
        gradient = jacobian @ residuals + prior.information * away
        step = np.linalg.solve(normal, -gradient)
        t = t + step[:3]
        R = rotation_matrix(step[3:]) @ R
        if -(step @ gradient) < least_step * 6:
            break
    return PoseFit(
        _transform(R, t), np.linalg.inv(normal), errors.deviations, errors.inverse_depth_step
    )


@dataclass(frozen=True, eq=False)
class _TrackErrors:
    """Residuals of all tracks at one motion, along and across their epipolar lines.

    Arrays have the tracks last, where numpy is fastest.
    """

    along: np.ndarray  # (N,) pixels
    across: np.ndarray  # (N,) pixels
    sigma_along: np.ndarray  # (N,) pixels
    noise: float  # pixels, the same across
    line: np.ndarray  # (2, N) direction of the epipolar line
    by_point: np.ndarray  # (3, 2, N) derivatives of the pixel by the point's direction
    direction: np.ndarray  # (3, N) of the point, seen from the later centre
    inverse_depth: np.ndarray  # (N,)
    deviations: np.ndarray  # (N,) standard deviations
    inverse_depth_step: np.ndarray  # (N,)

    @classmethod
    def at(
        cls, points: np.ndarray, inverse_depth: np.ndarray, variance: np.ndarray,
        seen: np.ndarray, R: np.ndarray, t: np.ndarray, focal: float, noise: float,
    ) -> _TrackErrors:  # fmt: skip
        direction = points - inverse_depth * t[:, None]
        local = R.T @ direction
        z = np.maximum(local[2], _NEAREST_Z)
        uv = local[:2] / z
        residual = focal * (uv - seen)
        by_point = (R[:, :2, None] - uv * R[:, 2, None, None]) * (focal / z)
        # pixels per 1/m, along the epipolar line
        slope = -(t @ by_point.reshape(3, -1)).reshape(2, -1)
        steepness = np.sqrt(slope[0] ** 2 + slope[1] ** 2)
        # without translation there is no epipolar line, and any direction serves
        slope[:, steepness < 1e-9] = [[1e-9], [0.0]]
        line = slope / np.maximum(steepness, 1e-9)
        along = residual[0] * line[0] + residual[1] * line[1]
        across = residual[1] * line[0] - residual[0] * line[1]
        variance_along = noise**2 + variance * steepness**2
        deviations = np.sqrt(along**2 / variance_along + (across / noise) ** 2)
        return cls(
            along, across, np.sqrt(variance_along), noise, line, by_point, direction,
            inverse_depth, deviations, -variance * steepness * along / variance_along,
        )  # fmt: skip

    def weighed(self) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives ``(6, 2 N)`` by translation and rotation, and residuals ``(2 N,)``."""
        # annealed: a poor start must not make outliers of everything
        spread = max(1.0, median(self.deviations) / 1.18) if self.deviations.size else 1.0
        weight = 1.0 / np.sqrt(1.0 + (self.deviations / (_CAUCHY * spread)) ** 2)
        by_along, by_across = weight / self.sigma_along, weight / self.noise
        (c, s), (u, v) = self.line, self.by_point.swapaxes(0, 1)
        rows = np.empty((3, 2, len(weight)))
        rows[:, 0] = (c * u + s * v) * by_along
        rows[:, 1] = (c * v - s * u) * by_across
        jacobian = np.empty((6, *rows.shape[1:]))
        jacobian[:3] = -self.inverse_depth * rows
        x, y, z = self.direction
        # rows x direction
        jacobian[3] = rows[1] * z - rows[2] * y
        jacobian[4] = rows[2] * x - rows[0] * z
        jacobian[5] = rows[0] * y - rows[1] * x
        residuals = np.concatenate([self.along * by_along, self.across * by_across])
        return jacobian.reshape(6, -1), residuals


def epipolar_pose(
    earlier: np.ndarray, later: np.ndarray, focal: float
) -> tuple[np.ndarray, float] | None:
    """Motion up to scale from two views alone: essential matrix by MAGSAC.

    Args:
        earlier: ``(N, 2)`` x/z, y/z.
        later: ``(N, 2)`` the same points.
        focal: Pixels.

    Returns:
        ``T_earlier_later`` ``(4, 4)`` with a translation of length 1 and the share of tracks
        that agree; None where nothing can be found.
    """
    if len(earlier) < _FEWEST_FOR_EPIPOLAR:
        return None
    try:
        essential, mask = cv2.findEssentialMat(
            earlier, later, np.eye(3), cv2.USAC_MAGSAC, 0.999, _EPIPOLAR_PIXELS / focal
        )
        if essential is None or essential.shape[0] < 3:
            return None
        share = float(mask.mean())
        _, R, t, _ = cv2.recoverPose(essential[:3], earlier, later, np.eye(3), mask=mask)
    except cv2.error:
        return None
    if not np.isfinite(R).all():
        return None
    return _transform(R.T, -(R.T @ t)[:, 0]), share


def triangulate(
    bearings: np.ndarray,
    rays: np.ndarray,
    T_earlier_later: np.ndarray,
    start: np.ndarray,
    iterations: int = 5,
) -> np.ndarray:
    """Inverse depth in the earlier camera of points seen twice, ``(N,)`` in [1e-4, 2] 1/m."""
    R, t = T_earlier_later[:3, :3], T_earlier_later[:3, 3]
    rho = start.copy()
    for _ in range(iterations):
        local = (bearings - rho[:, None] * t) @ R
        z = np.maximum(local[:, 2], _NEAREST_Z)
        uv = local[:, :2] / z[:, None]
        slope = -((R.T[:2] - uv[:, :, None] * R.T[2]) @ t) / z[:, None]
        step = (slope * (uv - rays)).sum(1) / ((slope**2).sum(1) + 1e-9)
        rho = np.clip(rho - step, 1e-4, 2.0)
    return rho


def _transform(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = translation
    return matrix
