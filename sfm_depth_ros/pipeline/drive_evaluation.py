# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a model got right and wrong on one drive, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.metrics.depth import DepthErrors, depth_errors, depth_scale_ratio
from sfm_depth_ros.metrics.trajectory import SegmentErrors, join_segments, segment_errors
from sfm_depth_ros.pipeline.depth_result import DepthResult


@dataclass
class DrivenPath:
    """A stretch without a break: predicted and true poses of the same images.

    Attributes:
        stamps_ns: Stamps of the images.
        predicted: ``(4, 4)`` poses of the camera where its first one is the origin.
        truth: ``(4, 4)`` true ``T_world_camera``; empty where there is no truth.
    """

    stamps_ns: list[int] = field(default_factory=list)
    predicted: list[np.ndarray] = field(default_factory=list)
    truth: list[np.ndarray] = field(default_factory=list)


@dataclass
class DriveEvaluation:
    """Takes results with their truth, and keeps the errors.

    Attributes:
        max_depth: Farthest truth that counts, metres.
        min_displacement: Measured camera translation below which a pair has no ratio, metres.
        unscaled: Depth errors of every frame with truth, in metres as predicted.
        median_scaled: The same after scaling each frame by its medians.
        depth_ratios: ``depth_scale_ratio`` of every frame with truth.
        monitored_ratios: Depth's scale as the monitor measured it, without truth.
        translation_ratios: ``translation_scale_ratio`` of every pair that moved.
        speed_errors: Predicted minus measured speed of every pair, m/s.
        paths: Stretches of the trajectory.
        frames: Number of results.
    """

    max_depth: float
    min_displacement: float
    unscaled: list[DepthErrors] = field(default_factory=list)
    median_scaled: list[DepthErrors] = field(default_factory=list)
    depth_ratios: list[float] = field(default_factory=list)
    monitored_ratios: list[float] = field(default_factory=list)
    translation_ratios: list[float] = field(default_factory=list)
    speed_errors: list[float] = field(default_factory=list)
    paths: list[DrivenPath] = field(default_factory=list)
    frames: int = 0

    def add(
        self,
        result: DepthResult,
        depth: np.ndarray | None,
        T_world_camera: np.ndarray | None,
        measured_length: float | None,
    ) -> None:
        """Compare one result.

        Args:
            result: What the model said.
            depth: ``(h, w)`` true metres at the network image's size, 0 = unknown, or None.
            T_world_camera: ``(4, 4)`` true pose, or None.
            measured_length: Measured camera translation since the image before, metres, or None.
        """
        self.frames += 1
        if depth is not None:
            self._add_depth(result.frame_depth, depth)
        if result.depth_scale is not None:
            self.monitored_ratios.append(result.depth_scale.ratio)
        if result.ego_motion is not None and measured_length is not None:
            self._add_length(result.ego_motion.length, measured_length, result.ego_motion.seconds)
        self._add_pose(result, T_world_camera)

    def segments(self, translation_factor: float = 1.0) -> SegmentErrors:
        """KITTI's segment errors where the truth is known.

        Args:
            translation_factor: Multiplies every predicted translation first.
        """
        return join_segments(
            [
                segment_errors(_scaled(path.predicted, translation_factor), path.truth)
                for path in self.paths
                if path.truth
            ]
        )

    def _add_depth(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        unscaled = depth_errors(prediction, truth, max_depth=self.max_depth)
        scaled = depth_errors(prediction, truth, max_depth=self.max_depth, median_scaled=True)
        ratio = depth_scale_ratio(prediction, truth, max_depth=self.max_depth)
        if unscaled and scaled and ratio is not None:
            self.unscaled.append(unscaled)
            self.median_scaled.append(scaled)
            self.depth_ratios.append(ratio)

    def _add_length(self, predicted: float, measured: float, seconds: float) -> None:
        self.speed_errors.append((predicted - measured) / seconds)
        if measured >= self.min_displacement:
            self.translation_ratios.append(predicted / measured)

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


def _scaled(poses: Sequence[np.ndarray], factor: float) -> list[np.ndarray]:
    """The path with every translation multiplied; turns stay."""
    if factor == 1.0:
        return list(poses)
    first = invert(poses[0])
    scaled = []
    for pose in poses:
        pose = first @ pose
        pose[:3, 3] *= factor
        scaled.append(pose)
    return scaled
