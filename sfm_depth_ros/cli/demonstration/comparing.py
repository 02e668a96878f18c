# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shipped and the learnt model on the same part of a bag, and some images to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.bags.frames import BagFrame, BagFrames, read_frames
from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.cli.demonstration.pictures import Scene
from sfm_depth_ros.cli.demonstration.report import Comparison
from sfm_depth_ros.cli.demonstration.workers import worker_pool
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.evaluation.evaluator import Evaluator
from sfm_depth_ros.evaluation.report import summarize_drives
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder

SCENES = 3


@dataclass(frozen=True)
class Part:
    """A bag from some time on."""

    name: str  # What it is called in the report
    bag: Path  # The bag
    from_s: float = 0.0  # Seconds after the first image

    def frames(self, width: int) -> BagFrames:
        """Frames at the network's size."""
        return read_frames(BagSelection(self.bag, self.from_s), width)


def compare(parts: Sequence[Part], before: Path, after: Path) -> list[Comparison]:
    """Evaluate both models on every part, nothing corrected; two processes at a time."""
    jobs = [(part, model) for part in parts for model in (before, after)]
    with worker_pool() as pool:
        reports = pool.starmap(_report, jobs, chunksize=1)
    return [
        Comparison(part.name, reports[2 * index], reports[2 * index + 1])
        for index, part in enumerate(parts)
    ]


def look_at(part: Part, before: ModelFolder, after: ModelFolder) -> list[Scene]:
    """Depth of both models on images spread over the part, those with truth if there are any."""
    items = list(part.frames(before.width))
    items = [item for item in items if item.depth is not None] or items
    chosen = [items[round(share * (len(items) - 1))] for share in np.linspace(0.1, 0.9, SCENES)]
    depths = (_depths(chosen, before), _depths(chosen, after))
    return [
        Scene(item.frame.image, old, new, item.depth)
        for item, old, new in zip(chosen, *depths, strict=True)
    ]


def _report(part: Part, model: Path) -> dict[str, Any]:
    folder = read_model_folder(model)
    frames = part.frames(folder.width)
    evaluator = Evaluator(folder, DepthNodeConfig(apply_scale="off", precision="fp32"))
    drive = evaluator.evaluate_frames(frames, frames.velocities)
    return {"model": folder.model_id, **summarize_drives([drive])}


def _depths(items: Sequence[BagFrame], folder: ModelFolder) -> list[np.ndarray]:
    frame = items[0].frame
    camera = CameraModel.from_intrinsics(frame.intrinsics, frame.frame_id)
    config = DepthNodeConfig(
        input_width=frame.intrinsics.width, apply_scale="off", precision="fp32"
    )
    estimator = DepthEstimator(folder, camera, config)
    try:
        return [estimator.estimate_frame(item.frame).depth for item in items]
    finally:
        estimator.close()
