# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sparse metric depth without a sensor for it, by structure from motion with known motion.

Corners followed through several images, and the odometer's path between them, make triangles. A
network learns metres from these some hundred points of an image much faster than from image
reconstruction alone, whose gradient depends on a pixel's nearest neighbours. A corner on something
that moves leaves its epipolar line in one of the views and is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from sfm_depth_ros.errors import VelocityGapError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import invert, rotation_matrix
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.tracking import follow

REACH = 4  # images before and after the target that corners are followed into
LONGEST_NS = 1_000_000_000  # an image farther away in time than this is not looked at
_CORNERS, _QUALITY, _SPACING = 1200, 0.003, 7  # of the target, pixels between them
_EDGE = 15  # pixels around what has no source, where no corner may lie
_FEWEST = 30  # corners that must reach a view for its rotation to be refined
_FEWEST_VIEWS = 2
_MIN_PARALLAX = 2.0  # pixels
_MAX_ERROR = 1.2  # pixels that the point may be off in any view
_NEAREST, _FARTHEST = 1.0, 100.0  # metres
_ROTATION_STEPS = 4
_SMALLEST_SIGMA = 0.15  # pixels: no tracker is better
_NORMAL_MAD = 1.4826


@dataclass(frozen=True)
class PointDepths:
    """Points of one image whose depth is known."""

    stamp_ns: int  # Stamp of the image
    pixels: np.ndarray  # `(N, 2)` float64 (column, row) in that image
    depth: np.ndarray  # `(N,)` float64 metres
    intrinsics: Intrinsics  # Camera of that image

    def image(self, intrinsics: Intrinsics) -> np.ndarray:
        """Points as a depth image of the same view at another size; the nearest wins a pixel.

        Returns:
            ``(height, width)`` float32 metres, 0 = unknown.
        """
        depth = np.zeros((intrinsics.height, intrinsics.width), np.float32)
        rays = _rays(self.pixels, self.intrinsics)
        columns = np.rint(rays[:, 0] * intrinsics.fx + intrinsics.cx).astype(int)
        rows = np.rint(rays[:, 1] * intrinsics.fy + intrinsics.cy).astype(int)
        inside = (columns >= 0) & (rows >= 0)
        inside &= (columns < intrinsics.width) & (rows < intrinsics.height)
        order = np.argsort(-self.depth)
        order = order[inside[order]]
        depth[rows[order], columns[order]] = self.depth[order]
        return depth


@dataclass(frozen=True)
class _View:
    """Corners of the target as another image sees them."""

    alive: np.ndarray  # (N,) bool
    seen: np.ndarray  # (N, 3) rays with z = 1
    T_view_target: np.ndarray


def track_depths(
    frames: Iterable[Frame], velocities: VelocityBuffer, reach: int = REACH
) -> Iterator[PointDepths]:
    """Depth of corners, image by image; images without any are passed over.

    Args:
        frames: Images of one camera in the order of time, as large as they come.
        velocities: The odometer's memory, covering the images.
        reach: How many images before and after each one are looked at.
    """
    window: list[tuple[Frame, np.ndarray]] = []
    place = 0  # of the next target
    for frame in frames:
        window.append((frame, cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)))
        while len(window) - place > reach:
            yield from _of_target(window, place, velocities, reach)
            place += 1
        drop = max(0, place - reach)
        del window[:drop]
        place -= drop
    for last in range(place, len(window)):
        yield from _of_target(window, last, velocities, reach)


def _of_target(
    window: Sequence[tuple[Frame, np.ndarray]], place: int, velocities: VelocityBuffer, reach: int
) -> Iterator[PointDepths]:
    frame, grey = window[place]
    corners = _corners(grey, frame.valid)
    if len(corners) < _FEWEST:
        return
    rays = _rays(corners, frame.intrinsics)
    views = [
        *_follow(window[place : place + reach + 1], corners, rays, velocities),
        *_follow(window[max(0, place - reach) : place + 1][::-1], corners, rays, velocities),
    ]
    if not views:
        return
    inverse_depth, is_good = _triangulate(rays, views, frame.intrinsics.fx)
    if is_good.any():
        yield PointDepths(
            frame.stamp_ns, corners[is_good], 1.0 / inverse_depth[is_good], frame.intrinsics
        )


def _corners(grey: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """``(N, 2)`` pixels."""
    mask = None
    if valid is not None:
        mask = cv2.erode(valid.astype(np.uint8), np.ones((_EDGE, _EDGE), np.uint8))
    found = cv2.goodFeaturesToTrack(grey, _CORNERS, _QUALITY, _SPACING, mask=mask)
    return np.zeros((0, 2)) if found is None else found.reshape(-1, 2).astype(np.float64)


def _follow(
    images: Sequence[tuple[Frame, np.ndarray]],
    corners: np.ndarray,
    rays: np.ndarray,
    velocities: VelocityBuffer,
) -> Iterator[_View]:
    """Follow the corners from the first image through the others, until few are left."""
    target, pixels, alive = images[0][0], corners, np.ones(len(corners), bool)
    for (_, grey), (frame, next_grey) in pairwise(images):
        if abs(frame.stamp_ns - target.stamp_ns) > LONGEST_NS:
            return
        pixels, kept = follow(grey, next_grey, pixels)
        alive = alive & kept
        T_view_target = _measured_motion(target, frame, velocities)
        if T_view_target is None or np.count_nonzero(alive) < _FEWEST:
            return
        seen = _rays(pixels, frame.intrinsics)
        focal = frame.intrinsics.fx
        yield _View(
            alive, seen, _with_refined_rotation(rays[alive], seen[alive], T_view_target, focal)
        )


def _measured_motion(target: Frame, view: Frame, velocities: VelocityBuffer) -> np.ndarray | None:
    """``T_view_target`` by the odometer; None where it has a gap."""
    earlier, later = sorted((target.stamp_ns, view.stamp_ns))
    try:
        T_earlier_later = velocities.displacement(earlier, later).T_earlier_later
    except VelocityGapError:
        return None
    return T_earlier_later if view.stamp_ns == earlier else invert(T_earlier_later)


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
        normal = np.cross(translation, rotated)  # (N, 3), of the epipolar planes
        length = np.maximum(np.linalg.norm(normal[:, :2], axis=1), 1e-9)
        errors = focal * np.sum(normal * seen, axis=1) / length
        along, across = rotated @ translation, np.sum(rotated * seen, axis=1)
        jacobian = seen * along[:, None] - np.outer(across, translation)
        jacobian *= (focal / length)[:, None]
        sigma = max(_NORMAL_MAD * float(np.median(np.abs(errors))), _SMALLEST_SIGMA)
        weighted = jacobian / (1.0 + (errors / sigma) ** 2)[:, None] ** 2
        system = weighted.T @ jacobian + 1e-3 * len(rays) * np.eye(3)
        rotation = rotation_matrix(-np.linalg.solve(system, weighted.T @ errors)) @ rotation
    corrected = T.copy()
    corrected[:3, :3] = rotation
    return corrected


def _triangulate(
    rays: np.ndarray, views: Sequence[_View], focal: float
) -> tuple[np.ndarray, np.ndarray]:
    """Inverse depth by least squares over all views, and whether every view agrees."""
    square, product = np.zeros(len(rays)), np.zeros(len(rays))
    for view in views:
        rotated, translation = rays @ view.T_view_target[:3, :3].T, view.T_view_target[:3, 3]
        # seen ~ rotated + inverse_depth * translation, up to its third component
        slope = translation[:2] - view.seen[:, :2] * translation[2]  # (N, 2)
        offset = view.seen[:, :2] * rotated[:, 2:] - rotated[:, :2]
        square += view.alive * np.sum(slope * slope, axis=1)
        product += view.alive * np.sum(slope * offset, axis=1)
    inverse_depth = product / np.maximum(square, 1e-12)
    error, parallax = np.zeros(len(rays)), np.zeros(len(rays))
    for view in views:
        rotated, translation = rays @ view.T_view_target[:3, :3].T, view.T_view_target[:3, 3]
        there = _projected(rotated + inverse_depth[:, None] * translation)
        off = focal * np.linalg.norm(there - view.seen[:, :2], axis=1)
        moved = focal * np.linalg.norm(there - _projected(rotated), axis=1)
        error = np.maximum(error, np.where(view.alive, off, 0.0))
        parallax = np.maximum(parallax, np.where(view.alive, moved, 0.0))
    count = np.sum([view.alive for view in views], axis=0)
    is_good = (count >= _FEWEST_VIEWS) & (error < _MAX_ERROR) & (parallax > _MIN_PARALLAX)
    is_good &= (inverse_depth > 1.0 / _FARTHEST) & (inverse_depth < 1.0 / _NEAREST)
    return inverse_depth, is_good


def _projected(points: np.ndarray) -> np.ndarray:
    """``(N, 2)`` of ``(N, 3)``; what is not in front lands far off."""
    return points[:, :2] / np.maximum(points[:, 2:], 1e-6)


def _rays(pixels: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """``(N, 3)`` with z = 1."""
    x = (pixels[:, 0] - intrinsics.cx) / intrinsics.fx
    y = (pixels[:, 1] - intrinsics.cy) / intrinsics.fy
    return np.stack((x, y, np.ones_like(x)), axis=1)
