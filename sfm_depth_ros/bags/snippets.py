# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Snippets of a bag, with the bag's truth and with labels derived from odometry or stereo."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator

import numpy as np

from sfm_depth_ros.bags.frames import BagFrames
from sfm_depth_ros.bags.plane_sweep import DenseDepth, sweep_depths
from sfm_depth_ros.bags.rig import BagRig
from sfm_depth_ros.bags.stereo_matching import StereoMatcher, teach_by_stereo
from sfm_depth_ros.bags.track_depth import track_depths
from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.snippets.builder import MAX_WAITING, SnippetBuilder
from sfm_depth_ros.snippets.image_gate import ImageGate
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.visual_odometry.known_motion import PointDepths

_KEPT = 2 * MAX_WAITING  # frames that a snippet may be made of later


def read_snippets(
    frames: BagFrames,
    min_displacement: float,
    max_displacement: float,
    max_image_gap_s: float,
    with_truth: bool = False,
    image_gate: ImageGate | None = None,
) -> Iterator[Snippet]:
    """Snippets of a bag, by the same builder that serves the live trainer.

    Args:
        frames: The bag; read with ``needs_velocity``.
        min_displacement: Camera translation in metres between neighbours, at least.
        max_displacement: The same, at most.
        max_image_gap_s: Seconds between neighbours, at most.
        with_truth: Add the bag's true depth and motion, where it has them.
        image_gate: Refuses images that teach nothing, as the live trainer's does; None = all pass.
    """
    builder = SnippetBuilder(
        frames.velocities, min_displacement, max_displacement, max_image_gap_s, image_gate
    )
    frames.refused = builder.counts
    truths = TruthMemory(frames.rig)
    for bag_frame in frames:
        if with_truth:
            truths.remember(bag_frame.frame.stamp_ns, bag_frame.depth)
        for snippet in builder.add(bag_frame.frame):
            yield truths.attach(snippet) if with_truth else snippet
    refused = ", ".join(f"{name} {count}" for name, count in builder.counts.items() if count)
    _logger.info("%s: refused frames: %s", frames.selection.path, refused or "none")


class TruthMemory:
    """True depth of the newest frames, kept until they are targets of snippets.

    Args:
        rig: Extrinsics and true poses of the bag.
    """

    def __init__(self, rig: BagRig) -> None:
        self._rig = rig
        self._depths: dict[int, np.ndarray] = {}

    def remember(self, stamp_ns: int, depth: np.ndarray | None) -> None:
        """Take a frame's true depth, if it has one."""
        if depth is not None:
            self._depths[stamp_ns] = depth
        while len(self._depths) > _KEPT:
            del self._depths[next(iter(self._depths))]

    def attach(self, snippet: Snippet) -> Snippet:
        """The snippet with its target's true depth and its true motion, where known."""
        depth = self._depths.get(int(snippet.stamps_ns[1]))
        return dataclasses.replace(snippet, depth=depth, T_source_target=self._motion(snippet))

    def _motion(self, snippet: Snippet) -> np.ndarray | None:
        poses = [self._rig.poses.at(int(stamp)) for stamp in snippet.stamps_ns]
        if any(pose is None for pose in poses):
            return None
        earlier, target, later = (pose @ self._rig.T_base_camera for pose in poses)
        motions = [invert(source) @ target for source in (earlier, later)]
        return np.stack(motions).astype(np.float32)


TEACHERS = ("none", "tracks", "stereo", "multi_view_stereo")
SWEPT_WIDTH = 640  # pixels: wider images of a bag are swept at this size

_logger = logging.getLogger(__name__)


def taught(snippets: Iterable[Snippet], frames: BagFrames, teacher: str) -> Iterator[Snippet]:
    """The snippets with depth labels of their targets as measured depth.

    A sensor's depth stays where stereo has none, and wins over tracks. With tracks, the measured
    motion has the rotation that the corners show.

    Args:
        snippets: Snippets of ``frames``.
        frames: The bag that they come from.
        teacher: ``"none"``; ``"tracks"``: corners followed through the drive, see ``track_depth``;
            ``"stereo"``: the second camera's image, see ``stereo_matching``;
            ``"multi_view_stereo"``: planes swept over neighbouring images, see ``plane_sweep``.
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
        find = tracked_points if teacher == "tracks" else swept_depths
        found = find(frames)
        for snippet in snippets:
            yield _with_labels(snippet, found.get(int(snippet.stamps_ns[1])))


def tracked_points(frames: BagFrames) -> dict[int, PointDepths]:
    """Triangulated corners of every image of a bag, by its stamp.

    The images are read at the camera's own size: parallax is measured in its pixels.
    """
    large = frames.at_width(frames.preprocessor.columns, companions=())
    _logger.info("following corners through %s", frames.selection.name)
    images = (bag_frame.frame for bag_frame in large)
    return {points.stamp_ns: points for points in track_depths(images, large.velocities)}


def swept_depths(frames: BagFrames) -> dict[int, DenseDepth]:
    """Depth of every image of a bag by plane-sweep stereo, by its stamp."""
    large = frames.at_width(min(frames.preprocessor.columns, SWEPT_WIDTH), companions=())
    _logger.info("sweeping planes through %s", frames.selection.name)
    images = (bag_frame.frame for bag_frame in large)
    return {found.stamp_ns: found for found in sweep_depths(images, large.velocities)}


def _with_labels(snippet: Snippet, found: PointDepths | DenseDepth | None) -> Snippet:
    if found is None:
        return snippet
    depth = found.image(snippet.intrinsics)
    if snippet.instances is not None:  # what moves by itself was triangulated as if it stood
        depth = np.where(snippet.instances[0] > 0, np.float32(0), depth)
    measured = snippet.measured_depth
    labelled = snippet.with_measured_depth(np.where(measured > 0, measured, depth))
    if not isinstance(found, PointDepths):
        return labelled
    return dataclasses.replace(labelled, T_measured=_refined(snippet, found))


def _refined(snippet: Snippet, points: PointDepths) -> np.ndarray | None:
    """``T_measured`` with the rotations that the corners show, where they reached a source."""
    if snippet.T_measured is None:
        return None
    sources = (int(snippet.stamps_ns[0]), int(snippet.stamps_ns[2]))
    motions = [
        points.T_view_target.get(stamp_ns, measured)
        for stamp_ns, measured in zip(sources, snippet.T_measured, strict=True)
    ]
    return np.stack(motions).astype(np.float32)
