# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Moving pixels: where optical flow departs from the flow of the static scene.

Flow is OpenCV's DIS (Kroeger et al., ECCV 2016), a few milliseconds an image; the static scene's
follows from depth and the measured motion. No network has to learn anything for it.
"""

from __future__ import annotations

import cv2
import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.visual_odometry.known_motion import rays_of

FLOW_ERROR = 2.0  # pixels that DIS may be off
DEPTH_ERROR = 0.35  # share of the static scene's flow that a wrong depth may cost
NEAREST = 0.05  # metres: a point nearer than this to the source's plane has no flow


def moving_pixels(snippet: Snippet, depth: np.ndarray) -> np.ndarray:
    """Pixels of the target that move by themselves.

    A pixel moves where the flow to every source that shows it departs from the static scene's by
    more than flow and depth may be off.

    Args:
        snippet: Its measured motion has metres, and rotations that its images show, see
            ``with_tracks``: an odometer has no pitch and roll.
        depth: ``(H, W)`` metres of its target.

    Returns:
        ``(H, W)`` bool; all False where no motion was measured.
    """
    moves, shown = np.ones(depth.shape, bool), np.zeros(depth.shape, bool)
    if snippet.T_measured is None or not np.isfinite(snippet.T_measured).all():
        return shown
    target, *sources = (
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (snippet.target, *snippet.sources)
    )
    for source, T in zip(sources, snippet.T_measured.astype(np.float64), strict=True):
        free = dense_flow(target, source)
        static, inside = static_flow(depth, snippet.intrinsics, T)
        distance = np.linalg.norm(free - static, axis=-1)
        limit = np.maximum(DEPTH_ERROR * np.linalg.norm(static, axis=-1), FLOW_ERROR)
        moves &= (distance > limit) | ~inside
        shown |= inside
    return moves & shown if snippet.valid is None else moves & shown & snippet.valid


def dense_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Flow ``(H, W, 2)`` in pixels between two ``(H, W)`` uint8 images."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return method.calc(first, second, np.zeros((*first.shape, 2), np.float32))


def static_flow(
    depth: np.ndarray, camera: Intrinsics, T_source_target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Flow of a static scene, and where it stays in the source's view.

    Args:
        depth: ``(H, W)`` metres.
        camera: Of both images.
        T_source_target: ``(4, 4)`` metres.

    Returns:
        ``(H, W, 2)`` pixels and ``(H, W)`` bool.
    """
    rows, columns = np.mgrid[: depth.shape[0], : depth.shape[1]]
    pixels = np.stack((columns.ravel(), rows.ravel()), axis=1).astype(np.float64)
    points = rays_of(pixels, camera) * depth.reshape(-1, 1)
    x, y, z = (points @ T_source_target[:3, :3].T + T_source_target[:3, 3]).T
    z = np.maximum(z, NEAREST)
    there = np.stack((camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy), axis=1)
    inside = (there >= 0).all(1) & (there <= (camera.width - 1, camera.height - 1)).all(1)
    inside &= z > NEAREST
    return (there - pixels).reshape(*depth.shape, 2), inside.reshape(depth.shape)
