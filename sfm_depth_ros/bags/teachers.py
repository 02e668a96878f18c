# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth that a recording teaches by itself, without a depth sensor: by its way, or by a pair."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator

import numpy as np

from sfm_depth_ros.bags.frames import BagFrames
from sfm_depth_ros.bags.stereo_matching import StereoMatcher, teach_by_stereo
from sfm_depth_ros.bags.track_depth import PointDepths, track_depths
from sfm_depth_ros.snippets.values import Snippet

TEACHERS = ("none", "tracks", "stereo")

_logger = logging.getLogger(__name__)


def taught(snippets: Iterable[Snippet], frames: BagFrames, teacher: str) -> Iterator[Snippet]:
    """The snippets with what a teacher knows of their targets as ``sparse_depth``.

    What a sensor measured stays where the teacher has no answer (stereo), or wins (tracks).

    Args:
        snippets: Snippets of ``frames``.
        frames: The bag that they come from.
        teacher: ``"none"``; ``"tracks"``: corners followed through the drive, see ``track_depth``;
            ``"stereo"``: the second camera's image, see ``stereo_matching``.
    """
    if teacher not in TEACHERS:
        raise ValueError(f"teacher: expected one of {', '.join(TEACHERS)}, got {teacher!r}")
    if teacher == "none":
        yield from snippets
    elif teacher == "stereo":
        matcher = StereoMatcher()
        for snippet in snippets:
            yield teach_by_stereo(snippet, matcher)
    else:
        points = tracked_points(frames)
        for snippet in snippets:
            yield _with_points(snippet, points.get(int(snippet.stamps_ns[1])))


def tracked_points(frames: BagFrames) -> dict[int, PointDepths]:
    """Triangulated corners of every image of a bag, by its stamp.

    The images are read at the camera's own size: parallax is measured in its pixels.
    """
    large = frames.wider(frames.preprocessor.columns, companions=())
    _logger.info("following corners through %s", frames.selection.name)
    images = (bag_frame.frame for bag_frame in large)
    return {points.stamp_ns: points for points in track_depths(images, large.velocities)}


def _with_points(snippet: Snippet, points: PointDepths | None) -> Snippet:
    if points is None:
        return snippet
    depth = points.image(snippet.intrinsics)
    if snippet.sparse_depth is not None:
        depth = np.where(snippet.sparse_depth > 0, snippet.sparse_depth, depth)
    return dataclasses.replace(snippet, sparse_depth=depth.astype(np.float32))
