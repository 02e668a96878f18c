# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motion between two images from tracks: by their inverse depths, or from nothing at all."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sfm_depth_ros.geometry.frames import rotation_matrix, rotation_vector

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
        iterations: Steps.
    """
    R, t = prior.T_earlier_later[:3, :3].copy(), prior.T_earlier_later[:3, 3].copy()
    start = prior.T_earlier_later
    for step_number in range(iterations + 1):
        direction = bearings - inverse_depth[:, None] * t
        local = direction @ R
        z = np.maximum(local[:, 2], _NEAREST_Z)
        uv = local[:, :2] / z[:, None]
        residual = focal * (uv - rays)
        rows = (R.T[:2] - uv[:, :, None] * R.T[2]) * (focal / z)[:, None, None]  # (N, 2, 3)
        slope = -(rows @ t)  # (N, 2) pixels per 1/m, along the epipolar line
        steepness = np.sqrt((slope**2).sum(1))
        # without translation there is no epipolar line, and any direction serves
        slope[steepness < 1e-9] = (1e-9, 0.0)
        line = slope / np.maximum(steepness, 1e-9)[:, None]
        along = (residual * line).sum(1)
        across = residual[:, 1] * line[:, 0] - residual[:, 0] * line[:, 1]
        sigma_along = np.sqrt(noise**2 + variance * steepness**2)
        deviations = np.sqrt((along / sigma_along) ** 2 + (across / noise) ** 2)
        # annealed: a poor start must not make outliers of everything
        spread = max(1.0, float(np.median(deviations)) / 1.18) if len(deviations) else 1.0
        weight = 1.0 / np.sqrt(1.0 + (deviations / (_CAUCHY * spread)) ** 2)
        jacobian = np.empty((len(rays), 2, 6))
        jacobian[..., :3] = -inverse_depth[:, None, None] * rows
        jacobian[..., 3:] = _cross(rows, direction[:, None])
        by_along = line[:, :1] * jacobian[:, 0] + line[:, 1:] * jacobian[:, 1]
        by_across = line[:, :1] * jacobian[:, 1] - line[:, 1:] * jacobian[:, 0]
        by_along *= (weight / sigma_along)[:, None]
        by_across *= (weight / noise)[:, None]
        normal = by_along.T @ by_along + by_across.T @ by_across + np.diag(prior.information)
        if step_number == iterations:
            break
        gradient = by_along.T @ (along * weight / sigma_along)
        gradient += by_across.T @ (across * weight / noise)
        away = np.concatenate([t - start[:3, 3], rotation_vector(R @ start[:3, :3].T)])
        step = np.linalg.solve(normal, -(gradient + prior.information * away))
        t = t + step[:3]
        R = rotation_matrix(step[3:]) @ R
    correction = -variance * steepness * along / sigma_along**2
    return PoseFit(_transform(R, t), np.linalg.inv(normal), deviations, correction)


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


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a x b`` over the last axis; faster than numpy's for small arrays."""
    product = np.empty(np.broadcast_shapes(a.shape, b.shape))
    product[..., 0] = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    product[..., 1] = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    product[..., 2] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return product


def _transform(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = translation
    return matrix
