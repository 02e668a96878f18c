# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dense metric depth of still scenes by plane-sweep stereo over the odometer's motion.

Collins, CVPR 1996 (sweeping planes); Kang et al., CVPR 2001 (the better half of the views). The
motions are the odometer's with the rotation that tracked corners correct. What moves along with
the camera, or against it at a constant speed, is matched and wrong: such pixels must be masked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sfm_depth_ros.bags.track_depth import REACH, GreyFrame, sliding_windows, tracked_views
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.known_motion import View

_FLAT = 1e-6  # added to variances of intensities in [0, 1]


@dataclass(frozen=True)
class SweepLimits:
    """Planes that are swept, and what a match must keep to."""

    nearest: float = 2.0  # metres
    farthest: float = 80.0  # metres
    planes: int = 96  # uniform in inverse depth
    window: int = 7  # pixels along the edge of the compared windows
    views: int = 2  # images of each side of time, those farthest away
    min_similarity: float = 0.8  # normalised cross-correlation of the windows
    min_texture: float = 0.02  # standard deviation of a window, 1 = from black to white
    min_lead: float = 0.02  # similarity by which the best plane beats those beyond its neighbours
    max_disagreement: float = 2.0  # planes between the earlier images' depth and the later ones'
    min_parallax: float = 1.0  # pixels that the depth moves a pixel, in some view
    speckle: int = 40  # pixels: smaller islands are dropped


@dataclass(frozen=True, eq=False)
class DenseDepth:
    """Depth of one image, where it is known."""

    stamp_ns: int  # Stamp of the image
    depth: np.ndarray  # `(H, W)` float32 metres, 0 = unknown
    intrinsics: Intrinsics  # Camera of that image

    def image(self, intrinsics: Intrinsics) -> np.ndarray:
        """The same view at another size, the nearest pixel's depth: ``(h, w)`` float32 metres."""
        own = self.intrinsics
        columns = (np.arange(intrinsics.width) - intrinsics.cx) / intrinsics.fx * own.fx + own.cx
        rows = (np.arange(intrinsics.height) - intrinsics.cy) / intrinsics.fy * own.fy + own.cy
        x, y = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
        return cv2.remap(self.depth, x, y, cv2.INTER_NEAREST, borderValue=0)


def sweep_depths(
    frames: Iterable[Frame],
    velocities: VelocityBuffer,
    limits: SweepLimits = SweepLimits(),
    reach: int = REACH,
) -> Iterator[DenseDepth]:
    """Depth of every image that has matches in earlier and later ones.

    Args:
        frames: Images of one camera in the order of time.
        velocities: The odometer's memory, covering the images.
        limits: Planes, and what a match must keep to.
        reach: How many images before and after each one are looked at.
    """
    for window, place in sliding_windows(frames, reach):
        seen = tracked_views(window, place, velocities, reach)
        sides = [_farthest(side, limits.views) for side in (seen.earlier, seen.later)]
        if all(sides):
            frame = window[place].frame
            depth = sweep(window[place], sides, limits)
            if depth.any():
                yield DenseDepth(frame.stamp_ns, depth, frame.intrinsics)


@dataclass(frozen=True, eq=False)
class SweepView:
    """Another image of the scene and its known motion."""

    grey: np.ndarray  # `(H, W)` uint8
    intrinsics: Intrinsics
    T_view_target: np.ndarray  # `(4, 4)`


def sweep(
    target: GreyFrame, sides: Sequence[Sequence[SweepView]], limits: SweepLimits
) -> np.ndarray:
    """Depth of the target by images of both sides of time.

    Args:
        target: The image whose depth is found.
        sides: The earlier images and the later ones, at least one each.
        limits: Planes, and what a match must keep to.

    Returns:
        ``(H, W)`` float32 metres, 0 = unknown.
    """
    inverse = np.linspace(1 / limits.farthest, 1 / limits.nearest, limits.planes)
    window = _Windows.of(target.grey, limits.window)
    camera = target.frame.intrinsics
    volumes = [
        np.stack([_side_similarity(window, camera, side, k, limits.window) for k in inverse])
        for side in sides
    ]
    best = [volume.argmax(0) for volume in volumes]
    joined = np.maximum.reduce(volumes) if len(volumes) > 1 else volumes[0]
    plane, is_good = _best_plane(joined, limits)
    is_good &= np.ptp(np.stack(best), axis=0) <= limits.max_disagreement
    is_good &= window.deviation > limits.min_texture
    step = inverse[1] - inverse[0]
    found = inverse[0] + plane * step
    is_good &= _parallax(camera, sides, found) > limits.min_parallax
    if target.frame.valid is not None:
        is_good &= target.frame.valid
    depth = np.where(is_good, 1 / found, 0).astype(np.float32)
    return _without_speckles(depth, plane, limits)


@dataclass(frozen=True, eq=False)
class _Windows:
    """Means and deviations of the windows around each pixel."""

    image: np.ndarray  # `(H, W)` float32 in [0, 1]
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, grey: np.ndarray, size: int) -> _Windows:
        image = np.asarray(grey, np.float32) / np.float32(255)
        mean = cv2.blur(image, (size, size))
        variance = cv2.blur(image * image, (size, size)) - mean * mean
        return cls(image, mean, np.sqrt(np.maximum(variance, 0)))


def _side_similarity(
    window: _Windows,
    camera: Intrinsics,
    views: Sequence[SweepView],
    inverse_depth: float,
    size: int,
) -> np.ndarray:
    """Mean similarity ``(H, W)`` of the views whose plane falls inside; -1 where none does."""
    total, count = np.zeros_like(window.image), np.zeros_like(window.image)
    for view in views:
        there, inside = _on_plane(view, camera, inverse_depth)
        other = _Windows.of(there, size)
        product = cv2.blur(window.image * other.image, (size, size))
        covariance = product - window.mean * other.mean
        similarity = covariance / (window.deviation * other.deviation + _FLAT)
        total += similarity * inside
        count += inside
    return np.where(count > 0, total / np.maximum(count, 1), np.float32(-1))


def _on_plane(
    view: SweepView, camera: Intrinsics, inverse_depth: float
) -> tuple[np.ndarray, np.ndarray]:
    """The view as the target would see it on a plane that faces it, and where it lies inside."""
    T = view.T_view_target
    motion = T[:3, :3].copy()
    motion[:, 2] += inverse_depth * T[:3, 3]  # R + t n^T / d, n along the optical axis
    homography = view.intrinsics.matrix @ motion @ np.linalg.inv(camera.matrix)
    size = (camera.width, camera.height)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    there = cv2.warpPerspective(view.grey, homography, size, flags=flags)
    white = np.full(view.grey.shape, 255, np.uint8)
    inside = cv2.warpPerspective(white, homography, size, flags=flags) == 255
    return there, inside.astype(np.float32)


def _best_plane(volume: np.ndarray, limits: SweepLimits) -> tuple[np.ndarray, np.ndarray]:
    """Best plane with its fraction ``(H, W)``, and whether it is clearly the best."""
    count = len(volume)
    best = volume.argmax(0)
    top = np.take_along_axis(volume, best[None], 0)[0]
    before, after = (
        np.take_along_axis(volume, np.clip(best + k, 0, count - 1)[None], 0)[0] for k in (-1, 1)
    )
    bend = before - 2 * top + after
    fraction = np.where(bend < -1e-6, 0.5 * (before - after) / np.minimum(bend, -1e-6), 0)
    others = volume.copy()
    for k in range(-2, 3):
        np.put_along_axis(others, np.clip(best + k, 0, count - 1)[None], -1, 0)
    is_good = (top > limits.min_similarity) & (top - others.max(0) > limits.min_lead)
    is_good &= (best > 0) & (best < count - 1)
    return best + np.clip(fraction, -0.5, 0.5), is_good


def _parallax(
    camera: Intrinsics, sides: Sequence[Sequence[SweepView]], inverse_depth: np.ndarray
) -> np.ndarray:
    """Pixels ``(H, W)`` between a pixel's place at its depth and at infinity, in some view."""
    x = (np.arange(camera.width) - camera.cx) / camera.fx
    y = (np.arange(camera.height) - camera.cy) / camera.fy
    rays = np.stack([*np.meshgrid(x, y), np.ones((camera.height, camera.width))], axis=-1)
    largest = np.zeros(inverse_depth.shape)
    for view in (view for side in sides for view in side):
        far = rays @ view.T_view_target[:3, :3].T
        near = far + inverse_depth[..., None] * view.T_view_target[:3, 3]
        apart = near[..., :2] / np.maximum(near[..., 2:], 1e-3) - far[..., :2] / far[..., 2:]
        largest = np.maximum(largest, view.intrinsics.fx * np.linalg.norm(apart, axis=-1))
    return largest


def _without_speckles(depth: np.ndarray, plane: np.ndarray, limits: SweepLimits) -> np.ndarray:
    """Depth without small islands whose planes differ from what surrounds them."""
    labels = np.where(depth > 0, 16 * (plane + 1), 0).astype(np.int16)
    cv2.filterSpeckles(labels, 0, limits.speckle, 16 * limits.max_disagreement)
    return np.where(labels > 0, depth, np.float32(0))


def _farthest(views: Sequence[tuple[GreyFrame, View]], count: int) -> list[SweepView]:
    """The view farthest away in time, which has the longest baseline, and every second before."""
    return [
        SweepView(image.grey, image.frame.intrinsics, points.T_view_target)
        for image, points in views[::-2][:count]
    ]
