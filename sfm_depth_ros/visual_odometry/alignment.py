# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth's own scale: an image pair, aligned through the predicted depth, against the odometer.

Tracked corners are lifted with the predicted depth of the earlier image. The displacement that the
odometer measured predicts where each is seen next, if the depth is right. Two things are
solved for: the ratio, which is the length of the displacement in depth's unit over its length in
metres, and a small rotation, because an odometer's heading is not good to a tenth of a pixel. With
the rotation known, every track is a triangle that gives its depth in metres, and the ratio is the
median of predicted over triangulated depth. Averaging the quotients so, weighted by parallax that
is measured and not predicted, keeps noise in the prediction from biasing the ratio (aligning
alone, as perspective-n-point does, sees it some 5 % too small at 20 % noise).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import invert, rotation_matrix
from sfm_depth_ros.visual_odometry.tracking import Tracks, track_corners

_MIN_TRACKS = 15
_MIN_PARALLAX = 1.0  # pixels; below it a triangle is uninformative
_ENOUGH_PARALLAX = 5.0  # pixels; above it depth's own errors dominate, so weights stop growing
_MAX_OFF_LINE = 1.0  # pixels from the epipolar line at which a track is of something that moves
_EDGE_SIZE = 7  # pixels; corners on a depth edge move with its near side, wherever depth has it
_EDGE_FACTOR = 1.5
_MAX_RELATIVE_SIGMA = 0.15
_ITERATIONS = 6
_SMALL_STEP = 3e-4  # radians, and relative: a twentieth of a pixel at the networks' sizes
_DAMPING = 1e-9 * np.eye(4)
_NORMAL_MAD = 1.4826  # standard deviation of a normal sample over its median absolute deviation


@dataclass(frozen=True)
class DepthScale:
    """Depth's scale as one image pair shows it."""

    ratio: float  # Predicted depth over metres; above 1 = predicted too large
    sigma: float  # Rough standard deviation of `ratio`
    iqr: float  # Interquartile range of the quotient over the tracks
    count: int  # Number of tracks with parallax that agree on one rigid motion


def measure_depth_scale(
    earlier: np.ndarray,
    later: np.ndarray,
    depth: np.ndarray,
    intrinsics: Intrinsics,
    T_earlier_later: np.ndarray,
    max_corners: int = 150,
) -> DepthScale | None:
    """Compare predicted depth with what the measured displacement makes of an image pair.

    Args:
        earlier: ``(H, W)`` uint8 grey image.
        later: ``(H, W)`` uint8 grey image.
        depth: ``(H, W)`` predicted depth of the earlier image; pixels that are not finite and
            positive are not used.
        intrinsics: Camera of both.
        T_earlier_later: ``(4, 4)`` measured motion of the camera, metres.
        max_corners: How many corners are tracked.

    Returns:
        The estimate, or None where the pair has too little parallax or texture.
    """
    tracks = track_corners(earlier, later, _usable(depth), max_corners)
    columns, rows = np.rint(tracks.earlier).astype(int).T
    return depth_scale_of_tracks(
        tracks, depth[rows, columns].astype(np.float64), intrinsics, T_earlier_later
    )


def depth_scale_of_tracks(
    tracks: Tracks, depth: np.ndarray, intrinsics: Intrinsics, T_earlier_later: np.ndarray
) -> DepthScale | None:
    """The same for given tracks.

    Args:
        tracks: ``N`` tracks.
        depth: ``(N,)`` predicted depth where each track begins.
        intrinsics: Camera of both images.
        T_earlier_later: ``(4, 4)`` measured motion of the camera, metres.
    """
    if len(tracks) < _MIN_TRACKS or np.linalg.norm(T_earlier_later[:3, 3]) < 1e-6:
        return None
    T_later_earlier = invert(T_earlier_later)
    translation = T_later_earlier[:3, 3]
    rays = _rays(tracks.earlier, intrinsics) @ T_later_earlier[:3, :3].T  # (N, 3)
    seen = _rays(tracks.later, intrinsics)  # (N, 3)
    first = _triangulate(rays, seen, translation, intrinsics.fx)
    start = _summary(first, rays, depth)
    if start is None:
        return None
    rotation, log_sigma = _align(rays * depth[:, None], seen, translation, start[0], intrinsics.fx)
    rays = rays @ rotation.T
    triangles = _triangulate(rays, seen, translation, intrinsics.fx)
    summary = _summary(triangles, rays, depth)
    if summary is None:
        return None
    ratio, sigma, iqr, count = summary
    sigma = math.hypot(sigma, ratio * log_sigma)
    return DepthScale(ratio, sigma, iqr, count) if sigma < _MAX_RELATIVE_SIGMA * ratio else None


def _usable(depth: np.ndarray) -> np.ndarray:
    """``(H, W)`` uint8, 1 where depth is known and no depth edge is near."""
    with np.errstate(invalid="ignore"):
        known = np.isfinite(depth) & (depth > 0)
    filled = np.where(known, depth, np.float32(0)).astype(np.float32)
    window = np.ones((_EDGE_SIZE, _EDGE_SIZE), np.uint8)
    is_even = cv2.dilate(filled, window) < _EDGE_FACTOR * cv2.erode(filled, window)
    return (known & is_even).astype(np.uint8)


@dataclass(frozen=True)
class _Triangles:
    """Depth in metres along the earlier ray, parallax and distance from the epipolar line."""

    depth: np.ndarray  # (N,)
    parallax: np.ndarray  # (N,) pixels, negative where the track runs backwards
    off_line: np.ndarray  # (N,) pixels


def _rays(pixels: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    rays = np.ones((len(pixels), 3))
    rays[:, 0] = (pixels[:, 0] - intrinsics.cx) / intrinsics.fx
    rays[:, 1] = (pixels[:, 1] - intrinsics.cy) / intrinsics.fy
    return rays


def _triangulate(
    rays: np.ndarray, seen: np.ndarray, translation: np.ndarray, focal: float
) -> _Triangles:
    """Solve z (seen x ray) = -(seen x translation) for every track."""
    base = np.cross(translation, seen)
    length = np.maximum(np.linalg.norm(base, axis=1), 1e-12)
    normal = base / length[:, None]
    shift = np.cross(seen, rays / rays[:, 2:])
    along = np.sum(shift * normal, axis=1)
    off_line = np.linalg.norm(shift - along[:, None] * normal, axis=1)
    with np.errstate(divide="ignore"):
        depth = length / (along * rays[:, 2])
    return _Triangles(depth, along * focal, off_line * focal)


def _summary(
    triangles: _Triangles, rays: np.ndarray, depth: np.ndarray
) -> tuple[float, float, float, int] | None:
    """Weighted median of predicted / triangulated depth, its sigma, IQR and count."""
    used = (triangles.parallax > _MIN_PARALLAX) & (triangles.off_line < _MAX_OFF_LINE)
    used &= rays[:, 2] > 0
    if np.count_nonzero(used) < _MIN_TRACKS:
        return None
    quotient = depth[used] / triangles.depth[used]
    weights = np.minimum(triangles.parallax[used], _ENOUGH_PARALLAX)
    order = np.argsort(quotient)
    shares = np.cumsum(weights[order]) / weights.sum()
    first, ratio, third = quotient[order][np.searchsorted(shares, (0.25, 0.5, 0.75))]
    effective = weights.sum() ** 2 / np.sum(weights**2)
    deviation = _NORMAL_MAD * (third - first) / 2
    sigma = math.sqrt(math.pi / 2 / effective) * deviation
    return float(ratio), float(sigma), float(third - first), int(np.count_nonzero(used))


def _align(
    points: np.ndarray, seen: np.ndarray, translation: np.ndarray, ratio: float, focal: float
) -> tuple[np.ndarray, float]:
    """Rotation and ratio that bring the lifted points to where they are seen next.

    Gauss-Newton on the reprojection error with Geman-McClure weights.

    Returns:
        The ``(3, 3)`` rotation, and the standard deviation of the ratio's logarithm that the pixel
        errors leave.
    """
    rotation, log_ratio = np.eye(3), math.log(ratio)
    for _ in range(_ITERATIONS):
        moved = points @ rotation.T
        residuals, jacobian = _reprojection(moved, seen, math.exp(log_ratio) * translation, focal)
        errors = np.hypot(residuals[0], residuals[1])
        scale = max(_NORMAL_MAD * float(np.median(errors)), 0.1)
        weighted = jacobian / (1.0 + (errors / scale) ** 2) ** 2  # (2, 4, N)
        normal = weighted[0] @ jacobian[0].T + weighted[1] @ jacobian[1].T
        normal += _DAMPING * normal.trace()
        step = -np.linalg.solve(normal, weighted[0] @ residuals[0] + weighted[1] @ residuals[1])
        rotation = rotation_matrix(step[:3]) @ rotation
        log_ratio += min(max(float(step[3]), -0.5), 0.5)
        if np.abs(step).max() < _SMALL_STEP:
            break
    return rotation, scale * math.sqrt(np.linalg.inv(normal)[3, 3])


def _reprojection(
    moved: np.ndarray, seen: np.ndarray, translation: np.ndarray, focal: float
) -> tuple[np.ndarray, np.ndarray]:
    """Residuals ``(2, N)`` in pixels and their Jacobian ``(2, 4, N)`` by (rotation, log ratio)."""
    x, y, z = moved.T
    far = np.maximum(z + translation[2], 1e-3)
    u, v = (x + translation[0]) / far, (y + translation[1]) / far
    residuals = focal * np.array([u - seen[:, 0], v - seen[:, 1]])
    by_ratio = translation[0] - u * translation[2], translation[1] - v * translation[2]
    jacobian = np.array(
        [[-u * y, z + u * x, -y, by_ratio[0]], [-z - v * y, v * x, x, by_ratio[1]]]
    )
    return residuals, jacobian * (focal / far)
