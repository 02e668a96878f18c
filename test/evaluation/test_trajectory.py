# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Segment errors of trajectories that are wrong in a known way, and the written files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sfm_depth_ros.evaluation.trajectory import (
    join_segments,
    path_distances,
    segment_errors,
    write_kitti_trajectory,
    write_tum_trajectory,
)
from sfm_depth_ros.geometry.frames import rotation_matrix


def _drive(frames: int, step: float = 1.0, yaw: float = 0.0) -> list[np.ndarray]:
    motion = np.eye(4)
    motion[2, 3] = step
    motion[:3, :3] = rotation_matrix(np.array([0.0, yaw, 0.0]))
    poses = [np.eye(4)]
    for _ in range(frames - 1):
        poses.append(poses[-1] @ motion)
    return poses


def test_true_trajectory_has_no_error_in_any_world() -> None:
    truth = _drive(151, yaw=0.01)
    world = np.eye(4)
    world[:3, :3] = rotation_matrix(np.array([0.3, -0.2, 0.5]))
    world[:3, 3] = (5.0, -3.0, 1.0)
    errors = segment_errors([world @ pose for pose in truth], truth)
    assert errors.translation.size >= 28
    assert errors.translation_error_percent == pytest.approx(0.0, abs=1e-9)
    assert errors.rotation_error_deg_per_100m == pytest.approx(0.0, abs=1e-4)


def test_scale_error_is_the_translation_error() -> None:
    errors = segment_errors(_drive(151, step=1.05), _drive(151))
    assert errors.translation_error_percent == pytest.approx(5.0, rel=1e-6)
    assert errors.rotation_error_deg_per_100m == pytest.approx(0.0, abs=1e-4)


def test_yaw_drift_is_the_rotation_error() -> None:
    errors = segment_errors(_drive(151, yaw=np.radians(0.02)), _drive(151))
    assert errors.rotation_error_deg_per_100m == pytest.approx(2.0, rel=1e-3)


def test_short_path_gives_no_segments() -> None:
    errors = segment_errors(_drive(15), _drive(15))
    assert errors.translation.size == 0
    assert errors.translation_error_percent is None
    assert errors.rotation_error_deg_per_100m is None


def test_joined_segments_and_refused_lengths() -> None:
    one = segment_errors(_drive(31), _drive(31))
    assert join_segments([one, one]).translation.size == 2 * one.translation.size
    assert join_segments([]).translation.size == 0
    with pytest.raises(ValueError, match="true ones"):
        segment_errors(_drive(3), _drive(4))


def test_path_distances() -> None:
    np.testing.assert_allclose(path_distances(_drive(4, step=0.5)), [0, 0.5, 1.0, 1.5])


def test_written_files_read_back(tmp_path: Path) -> None:
    poses = _drive(3, yaw=0.1)
    write_kitti_trajectory(tmp_path / "kitti.txt", poses)
    kitti = np.loadtxt(tmp_path / "kitti.txt").reshape(3, 3, 4)
    np.testing.assert_allclose(kitti[2], poses[2][:3], atol=1e-8)
    stamps = [1_700_000_000_123_456_789 + 10**8 * i for i in range(3)]
    write_tum_trajectory(tmp_path / "tum.txt", stamps, poses)
    lines = (tmp_path / "tum.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0].split()[0] == "1700000000.123456789"
    tum = np.array(lines[2].split()[1:], dtype=float)
    np.testing.assert_allclose(tum[:3], poses[2][:3, 3], atol=1e-8)
    assert np.linalg.norm(tum[3:]) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="stamps"):
        write_tum_trajectory(tmp_path / "x", stamps[:2], poses)


def test_errors_by_length_are_the_means_of_their_segments() -> None:
    truth = _drive(151)
    predicted = _drive(151, step=1.05, yaw=np.radians(0.05))
    errors = segment_errors(predicted, truth)
    rows = errors.by_length()
    assert [row["length_m"] for row in rows] == [20.0, 50.0, 100.0]
    assert sum(row["segments"] for row in rows) == errors.translation.size
    for row in rows:
        alone = segment_errors(predicted, truth, (row["length_m"],))
        assert row["segments"] == alone.translation.size
        assert row["translation_error_percent"] == pytest.approx(alone.translation_error_percent)
        rotation = alone.rotation_error_deg_per_100m
        assert row["rotation_error_deg_per_100m"] == pytest.approx(rotation)
    assert join_segments([errors, errors]).by_length()[0]["segments"] == 2 * rows[0]["segments"]
    assert join_segments([]).by_length() == []


def _benchmark_errors(predicted, truth, lengths):
    """The odometry benchmark's definition, written out: every tenth frame, all lengths."""
    distance = [0.0]
    for before, after in pairwise(truth):
        distance.append(distance[-1] + np.sqrt(np.sum((after[:3, 3] - before[:3, 3]) ** 2)))
    errors = []
    for first in range(0, len(truth), 10):
        for length in lengths:
            ends = [k for k in range(first, len(truth)) if distance[k] >= distance[first] + length]
            if not ends:
                continue
            motions = [np.linalg.inv(way[first]) @ way[ends[0]] for way in (truth, predicted)]
            error = np.linalg.inv(motions[1]) @ motions[0]
            angle = np.arccos(np.clip(0.5 * (np.trace(error[:3, :3]) - 1.0), -1.0, 1.0))
            errors.append((np.linalg.norm(error[:3, 3]) / length, angle / length))
    return np.array(errors)


def test_segment_errors_are_the_benchmarks_own() -> None:
    rng = np.random.default_rng(8)
    truth, predicted = [np.eye(4)], [np.eye(4)]
    for _ in range(120):
        motion = np.eye(4)
        motion[:3, 3] = rng.normal((0.0, 0.0, 0.9), 0.2)
        motion[:3, :3] = rotation_matrix(rng.normal(0.0, 0.02, 3))
        truth.append(truth[-1] @ motion)
        motion = motion.copy()
        motion[:3, 3] *= rng.normal(1.05, 0.05)
        motion[:3, :3] = motion[:3, :3] @ rotation_matrix(rng.normal(0.001, 0.004, 3))
        predicted.append(predicted[-1] @ motion)
    lengths = (20.0, 50.0, 100.0)
    expected = _benchmark_errors(predicted, truth, lengths)
    errors = segment_errors(predicted, truth, lengths)
    assert len(expected) > 15
    np.testing.assert_allclose(errors.translation, expected[:, 0], rtol=1e-9)
    np.testing.assert_allclose(errors.rotation, expected[:, 1], rtol=1e-5)
