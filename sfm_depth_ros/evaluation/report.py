# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report of an evaluation: plain values by name, as the JSON file holds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sfm_depth_ros.evaluation.confidence_errors import confidence_report
from sfm_depth_ros.evaluation.depth_errors import join_distances, mean_errors
from sfm_depth_ros.evaluation.drive_evaluation import DepthRows, DriveEvaluation
from sfm_depth_ros.evaluation.image_free import IMAGE_FREE, verdict
from sfm_depth_ros.evaluation.motion_rows import MOTION_SOURCES, MotionRows
from sfm_depth_ros.evaluation.protocol import DepthProtocol
from sfm_depth_ros.evaluation.trajectory import join_segments, path_distances
from sfm_depth_ros.visual_odometry.scale import RobustSummary, summarize


def report_of(
    model_id: str, drives: dict[str, DriveEvaluation], protocol: DepthProtocol
) -> dict[str, Any]:
    """The report of all drives together; ``bags`` holds one for each drive."""
    report = summarize_drives(list(drives.values()))
    report["bags"] = {name: summarize_drives([drive]) for name, drive in drives.items()}
    return {
        "model": model_id,
        "protocol": protocol.as_dict(),
        "max_depth": protocol.max_depth,
        **report,
    }


def summarize_drives(drives: Sequence[DriveEvaluation]) -> dict[str, Any]:
    """The report of ``sfm-depth eval`` over all frames of some drives."""
    anchored = depth_report([drive.anchored for drive in drives])
    report = {
        "frames": sum(drive.frames for drive in drives),
        **depth_report([drive.depth for drive in drives]),
        **{name.replace("depth", "depth_anchored", 1): rows for name, rows in anchored.items()},
        "is_metric": all(drive.is_metric for drive in drives),
        "depth_affine_aligned": mean_errors([e for d in drives for e in d.aligned.unscaled]),
        "inverse_factor": _pooled([a for a, _ in d.corrections] for d in drives),
        "inverse_shift": _pooled([b for _, b in d.corrections] for d in drives),
        "depth_scale_monitor": _pooled(drive.monitored_ratios for drive in drives),
        "translation_scale_ratio": _pooled(drive.motion.translation_ratios for drive in drives),
        "ego_motion": ego_motion_report([drive.motion for drive in drives]),
        **{
            f"ego_motion_{name}": ego_motion_report(
                [
                    drive.motion_by_source[name]
                    for drive in drives
                    if name in drive.motion_by_source
                ]
            )
            for name in MOTION_SOURCES
        },
        "temporal": {"relative_difference": _median(drive.temporal for drive in drives)},
        "confidence": confidence_report(drive.confidence for drive in drives),
        **{name: _image_free(drives, name) for name in IMAGE_FREE},
    }
    return {**report, "beats_image_free": verdict(report)}


def _image_free(drives: Sequence[DriveEvaluation], name: str) -> dict[str, Any] | None:
    rows = [drive.image_free[name] for drive in drives if name in drive.image_free]
    return depth_report(rows) if rows else None


def depth_report(parts: Sequence[DepthRows]) -> dict[str, Any]:
    """Everything that compares depth with its truth."""
    return {
        "depth": mean_errors([errors for part in parts for errors in part.unscaled]),
        "depth_median_scaled": mean_errors([e for part in parts for e in part.median_scaled]),
        "depth_scale_ratio": _pooled(part.ratios for part in parts),
        "depth_by_distance": join_distances(part.by_distance for part in parts).as_dicts(),
    }


def ego_motion_report(rows: Sequence[MotionRows]) -> dict[str, Any]:
    """Errors of ego-motion by one source over some drives."""
    segments = join_segments([row.segments() for row in rows])
    ratio = summarize(ratio for row in rows for ratio in row.translation_ratios)
    factor = 1.0 / ratio.median if ratio and ratio.median > 0 else 1.0
    scaled = join_segments([row.segments(factor) for row in rows])
    errors = [error for row in rows for error in row.speed_errors]
    return {
        "translation_error_percent": segments.translation_error_percent,
        "rotation_error_deg_per_100m": segments.rotation_error_deg_per_100m,
        "translation_error_percent_scaled": scaled.translation_error_percent,
        "segments": len(segments.lengths),
        "by_length": segments.by_length(),
        "true_path_m": _true_path(rows),
        "speed_rmse_mps": float(np.sqrt(np.mean(np.square(errors)))) if errors else None,
        "frames": len(errors),
        "translation_scale_ratio": ratio.as_dict() if ratio else None,
    }


def _true_path(rows: Sequence[MotionRows]) -> float | None:
    """Metres of all stretches whose truth is known."""
    lengths = [path_distances(p.truth)[-1] for row in rows for p in row.paths if p.truth]
    return float(sum(lengths)) if lengths else None


def _median(parts: Iterable[Sequence[float]]) -> float | None:
    values = [value for part in parts for value in part]
    return float(np.median(values)) if values else None


def _pooled(parts: Iterable[Sequence[float]]) -> dict[str, float | int] | None:
    summary: RobustSummary | None = summarize(ratio for part in parts for ratio in part)
    return summary.as_dict() if summary else None
