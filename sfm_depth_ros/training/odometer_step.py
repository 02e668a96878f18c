# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Change of an odometer's factor within a snippet, by what it makes of the same points.

Points of the target are triangulated over the motion before it and over the motion after it. Where
wheels begin or cease to slip between the two, all depths differ by the same factor. No network
takes part, so that slow and fast driving are judged alike.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.landmark_depth import LIMITS
from sfm_depth_ros.visual_odometry.known_motion import (
    View,
    corners_of,
    rays_of,
    triangulate_alone,
    view_of,
)
from sfm_depth_ros.visual_odometry.tracking import follow

FEWEST = 20  # points that both motions triangulate
MIN_PARALLAX = 2.0  # pixels, over either motion
LARGEST_SPREAD = 0.5  # median deviation of the points' logarithms from their median


def odometer_step(snippet: Snippet) -> float:
    """Logarithm of the odometer's factor after the target over that before it.

    Returns:
        0 for an odometer that is equally right in both; NaN where too few points are seen.
    """
    if snippet.T_measured is None or not np.isfinite(snippet.T_measured).all():
        return math.nan
    camera = snippet.intrinsics
    grey, *sources = (
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (snippet.target, *snippet.sources)
    )
    corners = corners_of(grey, snippet.valid, LIMITS)
    rays, views = rays_of(corners, camera), list[View]()
    for source, T in zip(sources, snippet.T_measured.astype(np.float64), strict=True):
        pixels, alive = follow(grey, source, corners)
        view = view_of(alive, rays, rays_of(pixels, camera), T, camera.fx)
        if view is None:
            return math.nan
        views.append(view)
    return _step(rays, views, camera.fx)


def _step(rays: np.ndarray, views: list[View], focal: float) -> float:
    before, after = (triangulate_alone(rays, view, focal) for view in views)
    is_good = views[0].alive & views[1].alive
    for found in (before, after):
        is_good &= (found.inverse_depth > 0) & (found.error < LIMITS.max_error)
        is_good &= found.parallax > MIN_PARALLAX
    if np.count_nonzero(is_good) < FEWEST:
        return math.nan
    logs = np.log(before.inverse_depth[is_good] / after.inverse_depth[is_good])
    step = float(np.median(logs))
    return step if np.median(np.abs(logs - step)) < LARGEST_SPREAD else math.nan
