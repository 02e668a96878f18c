# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Geometry beside the networks: milliseconds an image on one core, and the rate with and without.

Everything runs in a process of its own that is bound to one core, so that the time of all its
threads is the time of that core.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.tracking_view import TrackingView
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.engines.factory import create_engine
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.estimation.image_tensor import ImageTensor
from sfm_depth_ros.estimation.prepared_model import PreparedModel, prepare_model
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.anchor_points import AnchorPoints
from sfm_depth_ros.visual_odometry.anchoring import DepthAnchor
from sfm_depth_ros.visual_odometry.confidence import DepthConfidence
from sfm_depth_ros.visual_odometry.floor_check import FloorCheck
from sfm_depth_ros.visual_odometry.landmark_scale import LandmarkScaleMonitor
from sfm_depth_ros.visual_odometry.tracker import PointTracker
from sfm_depth_ros.visual_odometry.visual_odometer import VisualOdometer

SECONDS = 10.0  # of the rendered drive, ten images a second
WARM_UP = 20  # images that do not count
NETWORKS = ("depth_network", "pose_network")
GEOMETRY = (
    "tracking_image", "tracking", "motion", "anchoring", "scale_monitor", "confidence", "corners",
)  # fmt: skip


@dataclass(frozen=True)
class GeometrySetting:
    """Setting of the measured models."""

    model: Path  # Model folder
    engine: str = "auto"  # `engine`
    precision: str = "auto"  # `precision`
    input_width: int = 0  # Width of the network's image in pixels; 0 = the model's own
    seconds: float = SECONDS  # Length of the rendered drive

    def config(self, **options: Any) -> DepthNodeConfig:
        """Parameters of depth_node; one thread."""
        return DepthNodeConfig(
            engine=self.engine, precision=self.precision, input_width=self.input_width, **options
        )


@dataclass(frozen=True)
class _Drive:
    camera: CameraModel
    images: list[tuple[int, np.ndarray]]  # stamp in nanoseconds, `(h, w, 3)` uint8
    velocities: VelocityBuffer


@dataclass
class _Stages:
    """Milliseconds that the process computed, by stage and image."""

    ms: dict[str, list[float]] = field(default_factory=dict)
    _begun: float = 0.0

    def begin(self) -> None:
        """Start the first stage of an image."""
        self._begun = time.process_time()

    def lap(self, name: str, without_s: float = 0.0) -> None:
        """End a stage; ``without_s`` is counted elsewhere."""
        now = time.process_time()
        self.ms.setdefault(name, []).append(1e3 * (now - self._begun - without_s))
        self._begun = time.process_time()


class _TimedTracker(PointTracker):
    """Sums the seconds that tracking takes inside of the odometer."""

    seconds = 0.0

    def follow(self, *arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        begun = time.process_time()
        found = super().follow(*arguments)
        self.seconds += time.process_time() - begun
        return found


def measure_geometry(setting: GeometrySetting) -> dict[str, Any]:
    """Measure on a rendered drive.

    Returns:
        ``core_ms_p50``: computing time of one core an image, by stage (``NETWORKS``,
        ``GEOMETRY``); ``geometry_ms`` and ``networks_ms``, their sums; ``images_per_s``: rate of
        the estimator with the networks ``alone`` and ``with_geometry`` (parameters as they come),
        on ``one_core`` and on ``all_cores``.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (setting,))


def _measure(setting: GeometrySetting) -> dict[str, Any]:
    drive, folder = _render(setting.seconds), read_model_folder(setting.model)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    stages = _stages_ms(drive, folder, setting)
    one_core = _rates(drive, folder, setting)
    os.sched_setaffinity(0, cores)
    return {
        "core_ms_p50": stages,
        "geometry_ms": sum(stages[name] for name in GEOMETRY),
        "networks_ms": sum(stages.get(name, 0.0) for name in NETWORKS),
        "images_per_s": {"one_core": one_core, "all_cores": _rates(drive, folder, setting)},
    }


def _render(seconds: float) -> _Drive:
    import torch

    from sfm_depth_ros.world.distribution import DEMO_CAMERA, DEMO_MOTION, DEMO_SEED
    from sfm_depth_ros.world.drive import DriveSpec, SyntheticDrive

    torch.set_num_threads(1)
    drive = SyntheticDrive(DriveSpec(DEMO_SEED, seconds, DEMO_CAMERA, motion=DEMO_MOTION))
    velocities = VelocityBuffer(drive.T_base_camera, max_gap_s=0.3)
    for k in range(round(20 * seconds) + 1):
        velocities.add(drive.velocity(round(k * 5e7)))
    images = [(frame.stamp_ns, frame.image) for frame in drive.frames()]
    return _Drive(CameraModel.from_intrinsics(drive.intrinsics), images, velocities)


def _stages_ms(drive: _Drive, folder: ModelFolder, setting: GeometrySetting) -> dict[str, float]:
    """Medians of the stages, one after the other."""
    config = setting.config()
    model = prepare_model(folder, drive.camera, config, create_engine)
    tensor = ImageTensor(model.preprocessor.input_hw, model.images, model.takes_bytes)
    view, tracker = TrackingView(drive.camera, config.tracking_width), _TimedTracker()
    odometer = VisualOdometer(drive.velocities, config.ego_motion, tracker=tracker)
    anchor, confidence = DepthAnchor(config.anchoring, model.output), DepthConfidence()
    floor, scale = FloorCheck(), LandmarkScaleMonitor()
    K, stages = model.preprocessor.intrinsics, _Stages()
    try:
        for stamp_ns, image in drive.images:
            stack = tensor.push(model.preprocessor(image)[0])
            stages.begin()
            depth = model.depth(tensor.later, K.fx)
            stages.lap(NETWORKS[0])
            _run_pose_network(model, tensor, stack, K.fx, stages)
            seen = view(image)
            stages.lap("tracking_image")
            before = tracker.seconds
            step = odometer.advance(seen.grey, stamp_ns, seen.intrinsics, valid=seen.valid)
            tracked = tracker.seconds - before
            stages.ms.setdefault("tracking", []).append(1e3 * tracked)
            stages.lap("motion", without_s=tracked)
            points = AnchorPoints.of(step.landmarks, 1 / depth, K)
            mounting = drive.velocities.T_base_camera
            points = points.selected(floor.above(points, 1 / depth, K, mounting, step.seconds))
            held = anchor.anchor(1 / depth, points, step.seconds, step.is_moving)
            stages.lap("anchoring")
            scale.add(stamp_ns, points)
            _ = scale.estimate
            stages.lap("scale_monitor")
            confidence.assess(held.depth, held.log_variance, K, step.T_earlier_later)
            stages.lap("confidence")
            odometer.find_corners()
            stages.lap("corners")
    finally:
        model.close()
    return {name: median(values[WARM_UP:]) for name, values in stages.ms.items()}


def _run_pose_network(
    model: PreparedModel, tensor: ImageTensor, stack: np.ndarray, focal: float, stages: _Stages
) -> None:
    if model.pose_engine is not None and tensor.is_full:
        model.motion(stack, focal)
        stages.lap(NETWORKS[1])


def _rates(drive: _Drive, folder: ModelFolder, setting: GeometrySetting) -> dict[str, float]:
    """Images a second through the estimator."""
    alone = setting.config(
        tracking_width=0, ego_motion="network", anchoring="off", apply_scale="off"
    )
    configs = {"alone": alone, "with_geometry": setting.config()}
    return {name: _rate(drive, folder, config) for name, config in configs.items()}


def _rate(drive: _Drive, folder: ModelFolder, config: DepthNodeConfig) -> float:
    estimator = DepthEstimator(folder, drive.camera, config)
    times = []
    try:
        for stamp_ns, image in drive.images:
            begun = time.perf_counter()
            estimator.estimate(image, stamp_ns, "", drive.velocities)
            times.append(time.perf_counter() - begun)
    finally:
        estimator.close()
    return 1.0 / median(times[WARM_UP:])
