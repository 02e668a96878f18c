# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points of one image triangulated over other images whose motion is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import rotation_matrix

FEWEST = 30  # corners that must reach a view for its rotation to be refined
ON_LINE = 1.0  # pixels from its epipolar line within which a corner agrees with a motion
_FEWEST_VIEWS = 2
_ROTATION_STEPS = 4
_SMALLEST_SIGMA = 0.15  # pixels: no tracker is better
_NORMAL_MAD = 1.4826


@dataclass(frozen=True)
class PointLimits:
    """Corners that are looked for, and what a triangulated one must keep to."""

    corners: int = 1200
    spacing: int = 7  # pixels between them
    quality: float = 0.003  # of the weakest corner as a share of the strongest
    edge: int = 15  # pixels around what has no source, where no corner may lie
    min_parallax: float = 2.0  # pixels
    max_error: float = 1.2  # pixels that the point may be off in any view
    nearest: float = 1.0  # metres
    farthest: float = 100.0  # metres


@dataclass(frozen=True)
class PointDepths:
    """Points of one image whose depth is known."""

    stamp_ns: int  # Stamp of the image
    pixels: np.ndarray  # `(N, 2)` float64 (column, row) in that image
    depth: np.ndarray  # `(N,)` float64 metres
    intrinsics: Intrinsics  # Camera of that image
    # `(4, 4)` motion to every other image used, by its stamp: the measured one with the rotation
    # that the points show
    T_view_target: Mapping[int, np.ndarray] = field(default_factory=dict)

    def image(self, intrinsics: Intrinsics) -> np.ndarray:
        """Points as a depth image of the same view at another size; the nearest wins a pixel.

        Returns:
            ``(height, width)`` float32 metres, 0 = unknown.
        """
        depth = np.zeros((intrinsics.height, intrinsics.width), np.float32)
        rays = rays_of(self.pixels, self.intrinsics)
        columns = np.rint(rays[:, 0] * intrinsics.fx + intrinsics.cx).astype(int)
        rows = np.rint(rays[:, 1] * intrinsics.fy + intrinsics.cy).astype(int)
        inside = (columns >= 0) & (rows >= 0)
        inside &= (columns < intrinsics.width) & (rows < intrinsics.height)
        order = np.argsort(-self.depth)
        order = order[inside[order]]
        depth[rows[order], columns[order]] = self.depth[order]
        return depth


@dataclass(frozen=True, eq=False)
class View:
    """Points of the target as another image sees them."""

    alive: np.ndarray  # (N,) bool, whether a point is seen
    seen: np.ndarray  # (N, 3) rays with z = 1
    T_view_target: np.ndarray  # (4, 4)


def corners_of(grey: np.ndarray, valid: np.ndarray | None, limits: PointLimits) -> np.ndarray:
    """``(N, 2)`` pixels of an ``(H, W)`` uint8 image, where ``valid`` ``(H, W)`` has a source."""
    mask = None
    if valid is not None:
        mask = cv2.erode(valid.astype(np.uint8), np.ones((limits.edge, limits.edge), np.uint8))
    found = cv2.goodFeaturesToTrack(
        grey, limits.corners, limits.quality, limits.spacing, mask=mask
    )
    return np.zeros((0, 2)) if found is None else found.reshape(-1, 2).astype(np.float64)


def view_of(
    alive: np.ndarray, rays: np.ndarray, seen: np.ndarray, T_view_target: np.ndarray, focal: float
) -> View | None:
    """A view with its motion's small rotation error corrected; None with too few points.

    Args:
        alive: ``(N,)`` bool, which points the view shows.
        rays: ``(N, 3)`` in the target, z = 1.
        seen: ``(N, 3)`` in the view, z = 1.
        T_view_target: ``(4, 4)`` measured motion.
        focal: Focal length in pixels.
    """
    if np.count_nonzero(alive) < FEWEST:
        return None
    T = _with_refined_rotation(rays[alive], seen[alive], T_view_target, focal)
    return View(alive, seen, T)


def _with_refined_rotation(
    rays: np.ndarray, seen: np.ndarray, T: np.ndarray, focal: float
) -> np.ndarray:
    """The motion with the small rotation that brings the tracks onto their epipolar lines.

    An odometer's heading is not good to a pixel. Gauss-Newton on the distance from the line,
    with Geman-McClure weights; the translation stays the odometer's.
    """
    rotation, translation = T[:3, :3], T[:3, 3]
    for _ in range(_ROTATION_STEPS):
        rotated = rays @ rotation.T
        errors, scale = _line_errors(rotated, seen, translation, focal)
        along, across = rotated @ translation, np.sum(rotated * seen, axis=1)
        jacobian = seen * along[:, None] - np.outer(across, translation)
        jacobian *= scale[:, None]
        sigma = max(_NORMAL_MAD * float(np.median(np.abs(errors))), _SMALLEST_SIGMA)
        weighted = jacobian / (1.0 + (errors / sigma) ** 2)[:, None] ** 2
        system = weighted.T @ jacobian + 1e-3 * len(rays) * np.eye(3)
        rotation = rotation_matrix(-np.linalg.solve(system, weighted.T @ errors)) @ rotation
    corrected = T.copy()
    corrected[:3, :3] = rotation
    return corrected


def agreement(rays: np.ndarray, view: View, focal: float) -> float:
    """Share of the seen points that lie within ``ON_LINE`` pixels of their epipolar lines.

    Args:
        rays: ``(N, 3)`` in the target, z = 1.
        view: At least one point of them is seen.
        focal: Focal length in pixels.
    """
    rotated = rays[view.alive] @ view.T_view_target[:3, :3].T
    translation = view.T_view_target[:3, 3]
    errors, _ = _line_errors(rotated, view.seen[view.alive], translation, focal)
    return float(np.mean(np.abs(errors) < ON_LINE))


def _line_errors(
    rotated: np.ndarray, seen: np.ndarray, translation: np.ndarray, focal: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels ``(N,)`` from the epipolar lines, and pixels per unit of the planes' equations."""
    normal = np.cross(translation, rotated)  # (N, 3), of the epipolar planes
    scale = focal / np.maximum(np.linalg.norm(normal[:, :2], axis=1), 1e-9)
    return scale * np.sum(normal * seen, axis=1), scale


@dataclass(frozen=True, eq=False)
class Triangulated:
    """Points triangulated over one view."""

    inverse_depth: np.ndarray  # (N,) 1/m, may be negative
    error: np.ndarray  # (N,) pixels that the view is off
    parallax: np.ndarray  # (N,) pixels that the translation moves the point


def triangulate_alone(rays: np.ndarray, view: View, focal: float) -> Triangulated:
    """Triangulate over one view alone.

    Args:
        rays: ``(N, 3)`` in the target, z = 1.
        view: Seen points.
        focal: Focal length in pixels.
    """
    square, product = _normal_equation(rays, view)
    inverse_depth = product / np.maximum(square, 1e-12)
    return Triangulated(inverse_depth, *_residuals(rays, view, inverse_depth, focal))


def triangulate_views(
    rays: np.ndarray, views: Sequence[View], focal: float, limits: PointLimits
) -> tuple[np.ndarray, np.ndarray]:
    """Inverse depth by least squares over all views, and whether every view agrees.

    Args:
        rays: ``(N, 3)`` in the target, z = 1.
        views: At least one.
        focal: Focal length in pixels.
        limits: What a good point keeps to.

    Returns:
        ``(N,)`` 1/m and ``(N,)`` bool.
    """
    square, product = np.zeros(len(rays)), np.zeros(len(rays))
    for view in views:
        of_view = _normal_equation(rays, view)
        square += view.alive * of_view[0]
        product += view.alive * of_view[1]
    inverse_depth = product / np.maximum(square, 1e-12)
    error, parallax = np.zeros(len(rays)), np.zeros(len(rays))
    for view in views:
        off, moved = _residuals(rays, view, inverse_depth, focal)
        error = np.maximum(error, np.where(view.alive, off, 0.0))
        parallax = np.maximum(parallax, np.where(view.alive, moved, 0.0))
    count = np.sum([view.alive for view in views], axis=0)
    is_good = (count >= _FEWEST_VIEWS) & (error < limits.max_error)
    is_good &= parallax > limits.min_parallax
    is_good &= (inverse_depth > 1.0 / limits.farthest) & (inverse_depth < 1.0 / limits.nearest)
    return inverse_depth, is_good


def _normal_equation(rays: np.ndarray, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Both sides ``(N,)`` of the equation for the inverse depth by one view."""
    rotated, translation = rays @ view.T_view_target[:3, :3].T, view.T_view_target[:3, 3]
    # seen ~ rotated + inverse_depth * translation, up to its third component
    slope = translation[:2] - view.seen[:, :2] * translation[2]  # (N, 2)
    offset = view.seen[:, :2] * rotated[:, 2:] - rotated[:, :2]
    return np.sum(slope * slope, axis=1), np.sum(slope * offset, axis=1)


def _residuals(
    rays: np.ndarray, view: View, inverse_depth: np.ndarray, focal: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels ``(N,)`` that a point is off in a view, and that the translation moves it."""
    rotated, translation = rays @ view.T_view_target[:3, :3].T, view.T_view_target[:3, 3]
    there = _projected(rotated + inverse_depth[:, None] * translation)
    off = focal * np.linalg.norm(there - view.seen[:, :2], axis=1)
    return off, focal * np.linalg.norm(there - _projected(rotated), axis=1)


def _projected(points: np.ndarray) -> np.ndarray:
    """``(N, 2)`` of ``(N, 3)``; what is not in front lands far off."""
    return points[:, :2] / np.maximum(points[:, 2:], 1e-6)


def rays_of(pixels: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """Rays ``(N, 3)`` with z = 1 through ``(N, 2)`` pixels."""
    x = (pixels[:, 0] - intrinsics.cx) / intrinsics.fx
    y = (pixels[:, 1] - intrinsics.cy) / intrinsics.fy
    return np.stack((x, y, np.ones_like(x)), axis=1)
