# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of a model on one drive, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from sfm_depth_ros.camera.preprocessing import CameraTruth
from sfm_depth_ros.estimation.depth_result import DepthResult
from sfm_depth_ros.evaluation.confidence_errors import ConfidenceErrors
from sfm_depth_ros.evaluation.depth_errors import (
    DepthErrors,
    DistanceErrors,
    affine_aligned,
    depth_errors,
    depth_scale_ratio,
)
from sfm_depth_ros.evaluation.image_free import image_free_depths
from sfm_depth_ros.evaluation.matching import MatchedDepth, match_depth
from sfm_depth_ros.evaluation.motion_rows import MotionRows
from sfm_depth_ros.evaluation.protocol import DepthProtocol
from sfm_depth_ros.model_folder.row_profile import RowProfile
from sfm_depth_ros.visual_odometry.temporal import log_depth_change, relative_difference


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
    profile: RowProfile | None = None  # Depth by image row of other drives, to compare with
    is_metric: bool = True  # Whether the network's own output is in metres
    depth: DepthRows = field(default_factory=DepthRows)  # Errors of the network alone
    anchored: DepthRows = field(default_factory=DepthRows)  # Errors of depth held to landmarks
    # Errors of the network whose inverse depth is fitted to each frame's truth, if not metric
    aligned: DepthRows = field(default_factory=DepthRows)
    # Gain and offset (1/m) of the network's inverse depth, by landmarks, if not metric
    corrections: list[tuple[float, float]] = field(default_factory=list)
    # Errors of what sees no image, by its name; empty without a profile
    image_free: dict[str, DepthRows] = field(default_factory=dict)
    # Depth's scale as the monitor measured it, without truth
    monitored_ratios: list[float] = field(default_factory=list)
    motion: MotionRows = field(default_factory=MotionRows)  # Ego-motion as published
    # Ego-motion by each source
    motion_by_source: dict[str, MotionRows] = field(default_factory=dict)
    # Relative difference of successive published depths, warped
    temporal: list[float] = field(default_factory=list)
    confidence: ConfidenceErrors = field(default_factory=ConfidenceErrors)  # of frames with truth
    frames: int = 0  # Number of results
    _earlier: DepthResult | None = field(default=None, repr=False)

    def add(
        self,
        result: DepthResult,
        truth: CameraTruth | None,
        T_world_camera: np.ndarray | None,
        measured_length: float | None,
        motions: Mapping[str, np.ndarray | None] | None = None,
    ) -> MatchedDepth | None:
        """Compare one result.

        Args:
            result: Output of the model.
            truth: True depth (at the network's size where the protocol resizes the truth), or
                None.
            T_world_camera: ``(4, 4)`` true pose, or None.
            measured_length: Measured camera translation since the image before, metres, or None.
            motions: ``T_earlier_later`` ``(4, 4)`` or None by source.

        Returns:
            The points that were compared, or None without any.
        """
        self.frames += 1
        if result.depth_scale is not None:
            self.monitored_ratios.append(result.depth_scale.ratio)
        self._add_motion(result, T_world_camera, measured_length, motions or {})
        self._add_temporal(result)
        if not self.is_metric and result.correction.covariance[1, 1] > 0:
            correction = result.correction
            self.corrections.append((correction.inverse_factor, correction.inverse_shift))
        if truth is None:
            return None
        matched = match_depth(result.network_depth, truth, self.protocol)
        self._add_image_free(result, truth)
        if not self.is_metric and len(matched) > 1:
            depth = affine_aligned(matched.prediction, matched.truth)
            aligned = replace(matched, prediction=depth)
            self.aligned.add(result.stamp_ns, aligned, self.protocol)
        if result.step is not None:
            anchored = match_depth(result.frame_depth, truth, self.protocol)
            self.anchored.add(result.stamp_ns, anchored, self.protocol)
        return matched if self.depth.add(result.stamp_ns, matched, self.protocol) else None

    def _add_image_free(self, result: DepthResult, truth: CameraTruth) -> None:
        """Compare what sees no image, at the same points."""
        if self.profile is None:
            return
        for name, depth in image_free_depths(self.profile, result.frame.intrinsics).items():
            same = np.where(np.isnan(result.network_depth), np.float32(np.nan), depth)
            matched = match_depth(same, truth, self.protocol)
            rows = self.image_free.setdefault(name, DepthRows())
            rows.add(result.stamp_ns, matched, self.protocol)

    def add_confidence(self, result: DepthResult, true_depth: np.ndarray | None) -> None:
        """Compare confidence with the error of the published depth.

        Args:
            result: Output of the model.
            true_depth: ``(h, w)`` metres at the network's size, 0 = unknown; None without truth.
        """
        if result.confidence is None or true_depth is None:
            return
        low, high = self.protocol.min_depth, self.protocol.max_depth
        with np.errstate(invalid="ignore"):
            known = (true_depth >= low) & (true_depth <= high) & (result.frame_depth > 0)
        error = np.clip(result.frame_depth[known], low, high) - true_depth[known]
        self.confidence.add(result.confidence[known], error)

    def _add_motion(
        self,
        result: DepthResult,
        T_world_camera: np.ndarray | None,
        measured_length: float | None,
        motions: Mapping[str, np.ndarray | None],
    ) -> None:
        published = result.ego_motion
        T_published = None if published is None else published.T_earlier_later
        rows = [(self.motion, T_published)]
        for name, T_earlier_later in motions.items():
            by_source = self.motion_by_source.setdefault(name, MotionRows())
            rows.append((by_source, T_earlier_later))
        for row, T_earlier_later in rows:
            row.add(result.stamp_ns, T_earlier_later, T_world_camera)
            if self._earlier is None or T_earlier_later is None or measured_length is None:
                continue
            row.compare_length(
                result.stamp_ns,
                float(np.linalg.norm(T_earlier_later[:3, 3])),
                measured_length,
                (result.stamp_ns - self._earlier.stamp_ns) * 1e-9,
                self.min_displacement,
            )

    def _add_temporal(self, result: DepthResult) -> None:
        """Warp the published depth before into this one."""
        earlier, self._earlier = self._earlier, result
        if earlier is None or result.ego_motion is None:
            return
        if earlier.frame_depth.shape != result.frame_depth.shape:
            return
        change = log_depth_change(
            result.frame_depth,
            earlier.frame_depth,
            result.frame.intrinsics,
            result.ego_motion.T_earlier_later,
        )
        difference = relative_difference(change)
        if difference is not None:
            self.temporal.append(difference)
