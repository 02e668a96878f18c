# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures a model: on bags, or on anything else that yields frames with their truth.

The truth is brought to the network image's size (each known point to its own pixel, nothing
blended) and the prediction is left as it is. Nothing corrects the scale.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.data.bag_frames import read_frames
from sfm_depth_ros.data.preprocessing import CameraModel
from sfm_depth_ros.data.sample import Frame
from sfm_depth_ros.data.velocity import VelocityBuffer
from sfm_depth_ros.engines.factory import create_engine as create_engine_for
from sfm_depth_ros.errors import DataError, VelocityGapError
from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.metrics.depth import MAX_DEPTH, mean_errors
from sfm_depth_ros.metrics.summary import RobustSummary, summarize
from sfm_depth_ros.metrics.trajectory import join_segments
from sfm_depth_ros.networks.model_folder import ModelFolder
from sfm_depth_ros.pipeline.depth_estimator import DepthEstimator
from sfm_depth_ros.pipeline.drive_evaluation import DriveEvaluation
from sfm_depth_ros.pipeline.prepared_model import CreateEngine

# Frame; true depth (h, w) in metres, 0 = unknown; true T_world_camera
TruthFrame = tuple[Frame, np.ndarray | None, np.ndarray | None]
OnFrame = Callable[[int], None]


def evaluate_bags(
    folder: ModelFolder,
    bags: Sequence[str | Path],
    config: DepthNodeConfig,
    *,
    max_depth: float = MAX_DEPTH,
    create_engine: CreateEngine = create_engine_for,
    on_frame: OnFrame | None = None,
) -> dict[str, DriveEvaluation]:
    """Measure a model on one or more bags.

    Args:
        folder: The model.
        bags: Paths of rosbag2.
        config: Engine, network size, crop and gates.
        max_depth: Farthest truth that counts, metres.
        create_engine: What makes engines.
        on_frame: Called with the number of frames of the bag that are done, for progress.

    Returns:
        What was measured, by the bag's name.

    Raises:
        DataError: A bag lacks images or calibration.
    """
    drives: dict[str, DriveEvaluation] = {}
    for bag in bags:
        name = _unique_name(Path(bag), drives)
        drives[name] = evaluate_bag(
            folder,
            bag,
            config,
            max_depth=max_depth,
            create_engine=create_engine,
            on_frame=on_frame,
        )
    return drives


def report_of(
    folder: ModelFolder, drives: dict[str, DriveEvaluation], max_depth: float = MAX_DEPTH
) -> dict[str, Any]:
    """The report of all drives together; ``bags`` holds one for each drive."""
    report = summarize_drives(list(drives.values()))
    report["bags"] = {name: summarize_drives([drive]) for name, drive in drives.items()}
    return {"model": folder.model_id, "max_depth": max_depth, **report}


def evaluate_bag(
    folder: ModelFolder,
    bag: str | Path,
    config: DepthNodeConfig,
    *,
    max_depth: float = MAX_DEPTH,
    create_engine: CreateEngine = create_engine_for,
    on_frame: OnFrame | None = None,
) -> DriveEvaluation:
    """Measure a model on one bag; the arguments are those of ``evaluate_bags``."""
    frames = read_frames(
        bag,
        config.input_width or folder.width,
        config.crop,
        max_velocity_gap_s=config.max_velocity_gap,
    )
    return evaluate_frames(
        folder,
        frames,
        config,
        velocities=frames.velocities,
        max_depth=max_depth,
        create_engine=create_engine,
        on_frame=on_frame,
    )


def evaluate_frames(
    folder: ModelFolder,
    frames: Iterable[TruthFrame],
    config: DepthNodeConfig,
    *,
    velocities: VelocityBuffer | None = None,
    max_depth: float = MAX_DEPTH,
    create_engine: CreateEngine = create_engine_for,
    on_frame: OnFrame | None = None,
) -> DriveEvaluation:
    """Measure a model on frames of one camera, in the order of time.

    Args:
        folder: The model.
        frames: Frames at the network's size (multiples of 32), each with its true depth and pose
            or None.
        config: Engine and gates.
        velocities: The odometer's memory; without it, what moved is measured by the true poses.
        max_depth: Farthest truth that counts, metres.
        create_engine: What makes engines.
        on_frame: Called with the number of frames done, for progress.
    """
    evaluation = DriveEvaluation(max_depth, config.min_displacement)
    estimator: DepthEstimator | None = None
    previous: TruthFrame | None = None
    try:
        for frame, depth, T_world_camera, *_ in frames:
            estimator = estimator or _estimator_for(folder, frame, config, create_engine)
            result = estimator.estimate_frame(frame, velocities)
            current = (frame, depth, T_world_camera)
            evaluation.add(
                result, depth, T_world_camera, _measured_length(previous, current, velocities)
            )
            previous = current
            if on_frame:
                on_frame(evaluation.frames)
    finally:
        if estimator:
            estimator.close()
    if not evaluation.frames:
        raise DataError("there is not one image to evaluate; choose a bag with images")
    return evaluation


def summarize_drives(drives: Sequence[DriveEvaluation]) -> dict[str, Any]:
    """The report of ``sfm-depth eval`` over all frames of some drives."""
    return {
        "frames": sum(drive.frames for drive in drives),
        "depth": mean_errors([errors for drive in drives for errors in drive.unscaled]),
        "depth_median_scaled": mean_errors([e for drive in drives for e in drive.median_scaled]),
        "depth_scale_ratio": _as_dict(_pooled(drives, "depth_ratios")),
        "depth_scale_monitor": _as_dict(_pooled(drives, "monitored_ratios")),
        "translation_scale_ratio": _as_dict(_pooled(drives, "translation_ratios")),
        "ego_motion": _ego_motion(drives),
    }


def _ego_motion(drives: Sequence[DriveEvaluation]) -> dict[str, Any]:
    segments = join_segments([drive.segments() for drive in drives])
    ratio = _pooled(drives, "translation_ratios")
    factor = 1.0 / ratio.median if ratio and ratio.median > 0 else 1.0
    scaled = join_segments([drive.segments(factor) for drive in drives])
    errors = [error for drive in drives for error in drive.speed_errors]
    return {
        "translation_error_percent": segments.translation_error_percent,
        "rotation_error_deg_per_100m": segments.rotation_error_deg_per_100m,
        "translation_error_percent_scaled": scaled.translation_error_percent,
        "segments": len(segments.translation),
        "speed_rmse_mps": float(np.sqrt(np.mean(np.square(errors)))) if errors else None,
        "frames": len(errors),
    }


def _estimator_for(
    folder: ModelFolder, frame: Frame, config: DepthNodeConfig, create_engine: CreateEngine
) -> DepthEstimator:
    """An estimator that takes such frames as they are and marks nothing as out of range."""
    bare = dataclasses.replace(
        config,
        input_width=frame.intrinsics.width,
        crop=(0.0, 0.0, 0.0, 0.0),
        min_depth=0.01,
        max_depth=10000.0,
        output_size="network",
        apply_scale="monitor",
    )
    camera = CameraModel.from_intrinsics(frame.intrinsics, frame.frame_id)
    return DepthEstimator(folder, camera, bare, create_engine)


def _measured_length(
    previous: TruthFrame | None, current: TruthFrame, velocities: VelocityBuffer | None
) -> float | None:
    """Camera translation by the odometer, else by the true poses, else None."""
    if previous is None or current[0].stamp_ns <= previous[0].stamp_ns:
        return None
    by_odometer = _odometer_length(previous[0], current[0], velocities)
    if by_odometer is not None:
        return by_odometer
    if previous[2] is None or current[2] is None:
        return None
    return float(np.linalg.norm((invert(previous[2]) @ current[2])[:3, 3]))


def _odometer_length(
    earlier: Frame, later: Frame, velocities: VelocityBuffer | None
) -> float | None:
    if velocities is None:
        return None
    try:
        return velocities.displacement(earlier.stamp_ns, later.stamp_ns).length
    except VelocityGapError:
        return None


def _pooled(drives: Sequence[DriveEvaluation], name: str) -> RobustSummary | None:
    return summarize(ratio for drive in drives for ratio in getattr(drive, name))


def _as_dict(summary: RobustSummary | None) -> dict[str, float | int] | None:
    return summary.as_dict() if summary else None


def _unique_name(bag: Path, taken: dict[str, Any]) -> str:
    name = bag.name or str(bag)
    return name if name not in taken else str(bag)
