# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of a model on one drive, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sfm_depth_ros.camera.preprocessing import CameraTruth
from sfm_depth_ros.estimation.depth_result import DepthResult
from sfm_depth_ros.evaluation.depth_errors import (
    DepthErrors,
    DistanceErrors,
    depth_errors,
    depth_scale_ratio,
)
from sfm_depth_ros.evaluation.matching import DepthProtocol, MatchedDepth, match_depth
from sfm_depth_ros.evaluation.trajectory import SegmentErrors, join_segments, segment_errors
from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.visual_odometry.ego_motion import EgoMotion


@dataclass
class DrivenPath:
    """A stretch without a break: predicted and true poses of the same images."""

    stamps_ns: list[int] = field(default_factory=list)  # Stamps of the images
    # `(4, 4)` poses of the camera where its first one is the origin
    predicted: list[np.ndarray] = field(default_factory=list)
    # `(4, 4)` true `T_world_camera`; empty where there is no truth
    truth: list[np.ndarray] = field(default_factory=list)


@dataclass
class DepthRows:
    """Depth errors of every frame with truth."""

    unscaled: list[DepthErrors] = field(default_factory=list)  # In metres as predicted
    # After scaling each frame by its medians
    median_scaled: list[DepthErrors] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)  # `depth_scale_ratio`
    stamps_ns: list[int] = field(default_factory=list)  # Stamps of the frames
    # The points of all frames by their distance, unscaled
    by_distance: DistanceErrors = field(default_factory=DistanceErrors)

    def add(self, stamp_ns: int, matched: MatchedDepth, protocol: DepthProtocol) -> bool:
        """Compare one frame; False where nothing can be compared."""
        predicted, truth = matched.prediction, matched.truth
        limits = protocol.min_depth, protocol.max_depth
        unscaled = depth_errors(predicted, truth, *limits)
        scaled = depth_errors(predicted, truth, *limits, median_scaled=True)
        ratio = depth_scale_ratio(predicted, truth, *limits)
        if unscaled is None or scaled is None or ratio is None:
            return False
        self.unscaled.append(unscaled)
        self.median_scaled.append(scaled)
        self.ratios.append(ratio)
        self.stamps_ns.append(stamp_ns)
        self.by_distance.add(truth, np.clip(predicted, *limits))
        return True


@dataclass
class DriveEvaluation:
    """Takes results with their truth, and keeps the errors."""

    protocol: DepthProtocol  # How depth is judged
    min_displacement: float  # Measured camera translation below which a pair has no ratio, metres
    depth: DepthRows = field(default_factory=DepthRows)  # Depth errors of every frame with truth
    # Depth's scale as the monitor measured it, without truth
    monitored_ratios: list[float] = field(default_factory=list)
    # `translation_scale_ratio` of every pair that moved
    translation_ratios: list[float] = field(default_factory=list)
    # Stamps of those pairs' later images
    translation_stamps_ns: list[int] = field(default_factory=list)
    # Predicted minus measured speed of every pair, m/s
    speed_errors: list[float] = field(default_factory=list)
    paths: list[DrivenPath] = field(default_factory=list)  # Stretches of the trajectory
    frames: int = 0  # Number of results

    def add(
        self,
        result: DepthResult,
        truth: CameraTruth | None,
        T_world_camera: np.ndarray | None,
        measured_length: float | None,
    ) -> MatchedDepth | None:
        """Compare one result.

        Args:
            result: Output of the model.
            truth: True depth (at the network's size where the protocol resizes the truth), or
                None.
            T_world_camera: ``(4, 4)`` true pose, or None.
            measured_length: Measured camera translation since the image before, metres, or None.

        Returns:
            The points that were compared, or None without any.
        """
        self.frames += 1
        if result.depth_scale is not None:
            self.monitored_ratios.append(result.depth_scale.ratio)
        if result.ego_motion is not None and measured_length is not None:
            self._add_length(result.ego_motion, measured_length)
        self._add_pose(result, T_world_camera)
        if truth is None:
            return None
        matched = match_depth(result.frame_depth, truth, self.protocol)
        return matched if self.depth.add(result.stamp_ns, matched, self.protocol) else None

    def segments(self, translation_factor: float = 1.0) -> SegmentErrors:
        """KITTI's segment errors where the truth is known.

        Args:
            translation_factor: Multiplies every predicted translation first.
        """
        return join_segments(
            [
                segment_errors(scaled_path(path.predicted, translation_factor), path.truth)
                for path in self.paths
                if path.truth
            ]
        )

    def _add_length(self, motion: EgoMotion, measured: float) -> None:
        self.speed_errors.append((motion.length - measured) / motion.seconds)
        if measured >= self.min_displacement:
            self.translation_ratios.append(motion.length / measured)
            self.translation_stamps_ns.append(motion.later_ns)

    def _add_pose(self, result: DepthResult, T_world_camera: np.ndarray | None) -> None:
        motion, has_truth = result.ego_motion, T_world_camera is not None
        if motion is None or not self.paths or bool(self.paths[-1].truth) != has_truth:
            self.paths.append(DrivenPath())
        path = self.paths[-1]
        last = path.predicted[-1] if path.predicted else None
        pose = np.eye(4) if last is None or motion is None else last @ motion.T_earlier_later
        path.stamps_ns.append(result.stamp_ns)
        path.predicted.append(pose)
        if T_world_camera is not None:
            path.truth.append(T_world_camera)


def scaled_path(poses: Sequence[np.ndarray], factor: float) -> list[np.ndarray]:
    """The path with every translation multiplied; rotations stay.

    Args:
        poses: Each ``(4, 4)``, metres.
        factor: What translations from the first pose on are multiplied by.
    """
    if factor == 1.0:
        return list(poses)
    first = invert(poses[0])
    scaled = []
    for pose in poses:
        pose = first @ pose
        pose[:3, 3] *= factor
        scaled.append(pose)
    return scaled
