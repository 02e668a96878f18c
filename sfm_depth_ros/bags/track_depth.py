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
from typing import NamedTuple

import cv2
import numpy as np

from sfm_depth_ros.errors import VelocityGapError
from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.known_motion import (
    FEWEST,
    PointDepths,
    PointLimits,
    View,
    corners_of,
    rays_of,
    triangulate_views,
    view_of,
)
from sfm_depth_ros.visual_odometry.tracking import follow

REACH = 4  # images before and after the target that corners are followed into
LONGEST_NS = 1_000_000_000  # an image farther away in time than this is not looked at
_LIMITS = PointLimits()


def track_depths(
    frames: Iterable[Frame], velocities: VelocityBuffer, reach: int = REACH
) -> Iterator[PointDepths]:
    """Depth of corners, image by image; images without any are passed over.

    Args:
        frames: Images of one camera in the order of time, as large as they come.
        velocities: The odometer's memory, covering the images.
        reach: How many images before and after each one are looked at.
    """
    for window, place in sliding_windows(frames, reach):
        target = tracked_views(window, place, velocities, reach)
        seen = [*target.later, *target.earlier]
        if seen:
            yield from _triangulated(target, seen)


class GreyFrame(NamedTuple):
    """A frame and its image in grey, ``(H, W)`` uint8."""

    frame: Frame
    grey: np.ndarray


@dataclass(frozen=True, eq=False)
class TrackedViews:
    """Corners of a target, and the images around it in which enough of them are followed."""

    target: GreyFrame
    corners: np.ndarray  # `(N, 2)` float64 pixels (column, row)
    rays: np.ndarray  # `(N, 3)` float64, z = 1
    # Images and what they see, the nearest in time first; motions are the odometer's with the
    # rotation that the corners correct
    earlier: list[tuple[GreyFrame, View]]
    later: list[tuple[GreyFrame, View]]


def sliding_windows(
    frames: Iterable[Frame], reach: int
) -> Iterator[tuple[Sequence[GreyFrame], int]]:
    """Every frame's place among up to ``reach`` earlier and later ones."""
    window: list[GreyFrame] = []
    place = 0  # of the next target
    for frame in frames:
        window.append(GreyFrame(frame, cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)))
        while len(window) - place > reach:
            yield window, place
            place += 1
        drop = max(0, place - reach)
        del window[:drop]
        place -= drop
    for last in range(place, len(window)):
        yield window, last


def tracked_views(
    window: Sequence[GreyFrame], place: int, velocities: VelocityBuffer, reach: int
) -> TrackedViews:
    """Corners of the frame at a place of the window, followed into its neighbours."""
    frame, grey = window[place]
    corners = corners_of(grey, frame.valid, _LIMITS)
    rays = rays_of(corners, frame.intrinsics)
    earlier = window[max(0, place - reach) : place + 1][::-1]
    later = window[place : place + reach + 1]
    if len(corners) < FEWEST:
        earlier, later = earlier[:1], later[:1]
    return TrackedViews(
        window[place], corners, rays,
        list(_follow(earlier, corners, rays, velocities)),
        list(_follow(later, corners, rays, velocities)),
    )  # fmt: skip


def _triangulated(
    target: TrackedViews, seen: Sequence[tuple[GreyFrame, View]]
) -> Iterator[PointDepths]:
    frame, views = target.target.frame, [view for _, view in seen]
    inverse_depth, is_good = triangulate_views(target.rays, views, frame.intrinsics.fx, _LIMITS)
    if is_good.any():
        yield PointDepths(
            frame.stamp_ns,
            target.corners[is_good],
            1.0 / inverse_depth[is_good],
            frame.intrinsics,
            {image.frame.stamp_ns: view.T_view_target for image, view in seen},
        )


def _follow(
    images: Sequence[GreyFrame],
    corners: np.ndarray,
    rays: np.ndarray,
    velocities: VelocityBuffer,
) -> Iterator[tuple[GreyFrame, View]]:
    """Follow the corners from the first image through the others, until few are left."""
    target, pixels, alive = images[0][0], corners, np.ones(len(corners), bool)
    for (_, grey), image in pairwise(images):
        frame, next_grey = image
        if abs(frame.stamp_ns - target.stamp_ns) > LONGEST_NS:
            return
        pixels, kept = follow(grey, next_grey, pixels)
        alive = alive & kept
        T_view_target = _measured_motion(target, frame, velocities)
        if T_view_target is None:
            return
        seen = rays_of(pixels, frame.intrinsics)
        view = view_of(alive, rays, seen, T_view_target, frame.intrinsics.fx)
        if view is None:
            return
        yield image, view


def _measured_motion(target: Frame, view: Frame, velocities: VelocityBuffer) -> np.ndarray | None:
    """``T_view_target`` by the odometer; None where it has a gap."""
    earlier, later = sorted((target.stamp_ns, view.stamp_ns))
    try:
        T_earlier_later = velocities.displacement(earlier, later).T_earlier_later
    except VelocityGapError:
        return None
    return T_earlier_later if view.stamp_ns == earlier else invert(T_earlier_later)
