# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of ego-motion on one drive, by each of its sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sfm_depth_ros.estimation.depth_result import DepthResult
from sfm_depth_ros.evaluation.trajectory import SegmentErrors, join_segments, segment_errors
from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.visual_odometer import VisualOdometer

MOTION_SOURCES = ("network", "visual", "fused")


@dataclass
class DrivenPath:
    """A stretch without a break: predicted and true poses of the same images."""

    stamps_ns: list[int] = field(default_factory=list)  # Stamps of the images
    # `(4, 4)` poses of the camera where its first one is the origin
    predicted: list[np.ndarray] = field(default_factory=list)
    # `(4, 4)` true `T_world_camera`; empty where there is no truth
    truth: list[np.ndarray] = field(default_factory=list)


@dataclass
class MotionRows:
    """Ego-motion of every pair of images by one source."""

    # `translation_scale_ratio` of every pair that moved
    translation_ratios: list[float] = field(default_factory=list)
    # Stamps of those pairs' later images
    stamps_ns: list[int] = field(default_factory=list)
    # Predicted minus measured speed of every pair, m/s
    speed_errors: list[float] = field(default_factory=list)
    paths: list[DrivenPath] = field(default_factory=list)  # Stretches of the trajectory

    def add(
        self,
        stamp_ns: int,
        T_earlier_later: np.ndarray | None,
        T_world_camera: np.ndarray | None,
    ) -> None:
        """Append the motion since the image before; None begins a new stretch.

        Args:
            stamp_ns: Stamp of the image.
            T_earlier_later: ``(4, 4)`` predicted motion of the camera.
            T_world_camera: ``(4, 4)`` true pose, or None.
        """
        has_truth = T_world_camera is not None
        if T_earlier_later is None or not self.paths or bool(self.paths[-1].truth) != has_truth:
            self.paths.append(DrivenPath())
        path = self.paths[-1]
        pose = np.eye(4)
        if path.predicted and T_earlier_later is not None:
            pose = path.predicted[-1] @ T_earlier_later
        path.predicted.append(pose)
        path.stamps_ns.append(stamp_ns)
        if T_world_camera is not None:
            path.truth.append(T_world_camera)

    def compare_length(
        self, stamp_ns: int, length: float, measured: float, seconds: float, shortest: float
    ) -> None:
        """Compare a translation's length with the measured one, both in metres.

        Args:
            stamp_ns: Stamp of the later image.
            length: Predicted.
            measured: By the odometer or the true poses.
            seconds: Time between the two images.
            shortest: Measured length below which a pair has no ratio.
        """
        self.speed_errors.append((length - measured) / seconds)
        if measured >= shortest:
            self.translation_ratios.append(length / measured)
            self.stamps_ns.append(stamp_ns)

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


class MotionSources:
    """Motion of each image pair by every source, whichever one is published.

    Args:
        velocities: The odometer's memory; None without odometer.
        modes: Of visual odometry, each of which takes some 5 ms an image.
    """

    def __init__(
        self, velocities: VelocityBuffer | None, modes: Sequence[str] = ("visual", "fused")
    ) -> None:
        self._odometers = {mode: VisualOdometer(velocities, mode) for mode in modes}

    def motions(self, frame: Frame, result: DepthResult) -> dict[str, np.ndarray | None]:
        """``T_earlier_later`` ``(4, 4)`` or None, by the names of ``MOTION_SOURCES``."""
        found: dict[str, np.ndarray | None] = {"network": result.T_network}
        image = frame.tracking
        if image is not None:
            for mode, odometer in self._odometers.items():
                step = odometer.advance(
                    image.grey, frame.stamp_ns, image.intrinsics, valid=image.valid
                )
                found[mode] = step.T_earlier_later
        return found


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
