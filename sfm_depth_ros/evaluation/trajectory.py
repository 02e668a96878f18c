# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trajectory errors over segments as the KITTI odometry benchmark counts them, and writers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfm_depth_ros.geometry.frames import invert, matrix_to_pose, rotation_vector

# Geiger et al., CVPR 2012: 100..800 m; the three short ones serve short drives.
SEGMENT_LENGTHS = (20.0, 50.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0)
_START_EVERY = 10  # frames between two segment starts, as in the benchmark's own code


@dataclass(frozen=True)
class SegmentErrors:
    """Errors over path segments."""

    translation: np.ndarray  # `(N,)` end point error / segment length
    rotation: np.ndarray  # `(N,)` rotation error / segment length, rad/m
    lengths: np.ndarray  # `(N,)` segment length, metres

    @property
    def translation_error_percent(self) -> float | None:
        """Mean translation error in per cent, or None without segments."""
        return 100.0 * float(self.translation.mean()) if self.translation.size else None

    @property
    def rotation_error_deg_per_100m(self) -> float | None:
        """Mean rotation error in degrees per 100 m, or None without segments."""
        return 100.0 * float(np.degrees(self.rotation.mean())) if self.rotation.size else None

    def by_length(self) -> list[dict[str, float | int | None]]:
        """The errors of every length that has segments, shortest first."""
        parts = [
            (length, SegmentErrors(*(column[self.lengths == length] for column in self._columns)))
            for length in np.unique(self.lengths)
        ]
        return [
            {
                "length_m": float(length),
                "translation_error_percent": part.translation_error_percent,
                "rotation_error_deg_per_100m": part.rotation_error_deg_per_100m,
                "segments": len(part.lengths),
            }
            for length, part in parts
        ]

    @property
    def _columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.translation, self.rotation, self.lengths


def segment_errors(
    predicted: Sequence[np.ndarray],
    truth: Sequence[np.ndarray],
    lengths: Sequence[float] = SEGMENT_LENGTHS,
) -> SegmentErrors:
    """Compare two trajectories over all segments of the given lengths.

    Neither alignment nor scaling: metres are compared with metres.

    Args:
        predicted: ``(4, 4)`` poses ``T_world_camera``, one a frame, any world.
        truth: The true poses of the same frames, any world.
        lengths: Segment lengths in metres along the true path.
    """
    if len(predicted) != len(truth):
        raise ValueError(f"{len(predicted)} predicted poses, but {len(truth)} true ones")
    distances = path_distances(truth)
    errors = [
        (*_segment_error(predicted, truth, first, last, length), length)
        for first in range(0, len(truth), _START_EVERY)
        for length in lengths
        if (last := int(np.searchsorted(distances, distances[first] + length))) < len(truth)
    ]
    return SegmentErrors(*np.array(errors, dtype=np.float64).reshape(-1, 3).T)


def join_segments(parts: Sequence[SegmentErrors]) -> SegmentErrors:
    """All segments of several drives as one set."""
    columns = [np.zeros((3, 0)), *(np.stack(part._columns) for part in parts)]
    return SegmentErrors(*np.concatenate(columns, axis=1))


def path_distances(poses: Sequence[np.ndarray]) -> np.ndarray:
    """Metres along the path at every pose, shape ``(N,)``, starting at 0."""
    if not poses:
        return np.zeros(0)
    positions = np.array([pose[:3, 3] for pose in poses])
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _segment_error(
    predicted: Sequence[np.ndarray],
    truth: Sequence[np.ndarray],
    first: int,
    last: int,
    length: float,
) -> tuple[float, float]:
    true_motion = invert(truth[first]) @ truth[last]
    predicted_motion = invert(predicted[first]) @ predicted[last]
    error = invert(predicted_motion) @ true_motion
    angle = np.linalg.norm(rotation_vector(error[:3, :3]))
    return float(np.linalg.norm(error[:3, 3]) / length), float(angle / length)


def write_kitti_trajectory(path: Path, poses: Sequence[np.ndarray]) -> None:
    """Write poses in KITTI's format: the first three rows of ``T_world_camera`` a line.

    Args:
        path: File to write.
        poses: ``(4, 4)`` poses.
    """
    lines = [" ".join(f"{value:.9g}" for value in pose[:3].ravel()) for pose in poses]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def write_tum_trajectory(
    path: Path, stamps_ns: Sequence[int], poses: Sequence[np.ndarray]
) -> None:
    """Write poses in TUM's format: seconds, position, quaternion (x, y, z, w) a line.

    Args:
        path: File to write.
        stamps_ns: Time of every pose in nanoseconds.
        poses: ``(4, 4)`` poses.
    """
    if len(stamps_ns) != len(poses):
        raise ValueError(f"{len(stamps_ns)} stamps, but {len(poses)} poses")
    lines = []
    for stamp, pose in zip(stamps_ns, poses, strict=True):
        seconds = f"{stamp // 10**9}.{stamp % 10**9:09d}"
        lines.append(" ".join([seconds, *(f"{value:.9g}" for value in matrix_to_pose(pose))]))
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
