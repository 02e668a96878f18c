# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Corners of a snippet's target followed into its sources: landmarks, rotations, odometer's step.

All three come from the same tracks, which are found once. No network takes part, so that slow and
fast driving are judged alike.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.visual_odometry.known_motion import (
    FEWEST,
    PointDepths,
    PointLimits,
    View,
    agreement,
    corners_of,
    rays_of,
    triangulate_alone,
    triangulate_views,
    view_of,
)
from sfm_depth_ros.visual_odometry.tracking import follow

# An image of a network is small: a corner is good to a tenth of its large pixels.
LIMITS = PointLimits(
    corners=600, spacing=4, quality=0.005, edge=9, min_parallax=3.0, max_error=0.5, nearest=0.2
)
# Below either, the rotation stays the odometer's. On rendered drives it was right to 0.01 degrees
# with 200 corners and more, to 0.04 with 100, and off by up to 0.4 with 60.
FEWEST_FOR_ROTATION = 100
LEAST_AGREEMENT = 0.6  # of the corners, on their epipolar lines
# Without texture, corners are silhouettes against the sky or what is far behind: of ten a snippet
# a third are off by half of their depth, of thirty and more one in twenty.
FEWEST_LANDMARKS = 12
_FEWEST_FOR_STEP = 20  # points that both motions triangulate
_PARALLAX_FOR_STEP = 2.0  # pixels, over either motion
_LARGEST_SPREAD = 0.5  # median deviation of the points' logarithms from their median


@dataclass(frozen=True, eq=False)
class SnippetTracks:
    """Corners of the target as its sources show them."""

    camera: Intrinsics  # Of all images
    corners: np.ndarray  # `(N, 2)` pixels in the target
    rays: np.ndarray  # `(N, 3)` through them, z = 1
    # For each source, with the measured translation and the rotation that the corners show; None
    # where too few corners reach it or its motion was not measured
    views: tuple[View | None, ...]

    @classmethod
    def of(cls, snippet: Snippet) -> SnippetTracks:
        """Tracks of a snippet; without a measured motion there are no views."""
        images = (snippet.target, *snippet.sources)
        grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
        return cls.between(grey, snippet.intrinsics, snippet.T_measured, snippet.valid)

    @classmethod
    def between(
        cls,
        grey: Sequence[np.ndarray],
        camera: Intrinsics,
        motions: np.ndarray | None,
        valid: np.ndarray | None,
    ) -> SnippetTracks:
        """Tracks from the first of the ``(H, W)`` uint8 images to each of the others.

        Args:
            grey: The target, then its sources.
            camera: Of all images.
            motions: ``(S, 4, 4)`` measured ``T_source_target``, NaN = unknown; None = all are.
            valid: ``(H, W)`` bool, where the target has a source; None = everywhere.
        """
        if motions is None:
            return cls(camera, np.zeros((0, 2)), np.zeros((0, 3)), (None,) * (len(grey) - 1))
        corners = corners_of(grey[0], valid, LIMITS)
        rays, views = rays_of(corners, camera), list[View | None]()
        for source, T in zip(grey[1:], motions.astype(np.float64), strict=True):
            if len(corners) < FEWEST or not np.isfinite(T).all():
                views.append(None)
                continue
            pixels, alive = follow(grey[0], source, corners)
            views.append(view_of(alive, rays, rays_of(pixels, camera), T, camera.fx))
        return cls(camera, corners, rays, tuple(views))

    def landmarks(self) -> np.ndarray:
        """Depth of the corners that all views show, ``(H, W)`` float32 metres, 0 = unknown.

        All are unknown where there are fewer than ``FEWEST_LANDMARKS``.
        """
        nothing = np.zeros((self.camera.height, self.camera.width), np.float32)
        views = [view for view in self.views if view is not None]
        if len(views) < len(self.views):
            return nothing
        inverse_depth, is_good = triangulate_views(self.rays, views, self.camera.fx, LIMITS)
        if np.count_nonzero(is_good) < FEWEST_LANDMARKS:
            return nothing
        points = PointDepths(0, self.corners[is_good], 1.0 / inverse_depth[is_good], self.camera)
        return points.image(self.camera)

    def motions(self, measured: np.ndarray) -> np.ndarray:
        """The measured motions ``(S, 4, 4)`` with the rotations that the corners show.

        A late odometer, or one whose yaw rate is biased, is off by pixels. The rotation stays the
        odometer's where fewer than ``FEWEST_FOR_ROTATION`` corners reach a source, or fewer than
        ``LEAST_AGREEMENT`` of them lie on their epipolar lines.
        """
        found = [
            view.T_view_target if view is not None and self._shows_rotation(view) else T
            for T, view in zip(measured, self.views, strict=True)
        ]
        return np.stack(found).astype(np.float32)

    def _shows_rotation(self, view: View) -> bool:
        if np.count_nonzero(view.alive) < FEWEST_FOR_ROTATION:
            return False
        return agreement(self.rays, view, self.camera.fx) >= LEAST_AGREEMENT

    def odometer_step(self) -> float:
        """Logarithm of the odometer's factor after the target over that before it.

        Points are triangulated over the motion before the target and over the motion after it.
        Where wheels begin or cease to slip between the two, all depths differ by the same factor.

        Returns:
            0 for an odometer that is equally right in both; NaN where too few points are seen.
        """
        views = [view for view in self.views if view is not None]
        if len(views) < len(self.views):
            return math.nan
        before, after = (triangulate_alone(self.rays, view, self.camera.fx) for view in views)
        is_good = views[0].alive & views[1].alive
        for found in (before, after):
            is_good &= (found.inverse_depth > 0) & (found.error < LIMITS.max_error)
            is_good &= found.parallax > _PARALLAX_FOR_STEP
        if np.count_nonzero(is_good) < _FEWEST_FOR_STEP:
            return math.nan
        logs = np.log(before.inverse_depth[is_good] / after.inverse_depth[is_good])
        step = float(np.median(logs))
        return step if np.median(np.abs(logs - step)) < _LARGEST_SPREAD else math.nan


def with_tracks(snippet: Snippet, tracks: SnippetTracks | None = None) -> Snippet:
    """The snippet with its landmarks, and with rotations that the images show.

    Args:
        snippet: With what the odometer measured.
        tracks: Its tracks, where they are known.
    """
    if snippet.T_measured is None:
        return snippet
    tracks = tracks or SnippetTracks.of(snippet)
    return dataclasses.replace(
        snippet, T_measured=tracks.motions(snippet.T_measured), landmarks=tracks.landmarks()
    )
