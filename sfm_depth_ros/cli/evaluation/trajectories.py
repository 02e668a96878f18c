# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Predicted and true trajectories as files for other tools."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sfm_depth_ros.evaluation.drive_evaluation import DriveEvaluation
from sfm_depth_ros.evaluation.trajectory import write_kitti_trajectory, write_tum_trajectory


def write_trajectories(folder: Path, drives: dict[str, DriveEvaluation]) -> None:
    """Write each unbroken stretch as ``BAG_N_predicted`` and ``BAG_N_truth``, .tum and .kitti.

    Args:
        folder: Made where it is missing.
        drives: By the bag's name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, drive in drives.items():
        stem = re.sub(r"[^\w.-]+", "_", name)
        for index, path in enumerate(drive.motion.paths):
            for kind, poses in (("predicted", path.predicted), ("truth", path.truth)):
                if poses:
                    _write(folder / f"{stem}_{index}_{kind}", path.stamps_ns, poses)


def _write(stem: Path, stamps_ns: Sequence[int], poses: Sequence[np.ndarray]) -> None:
    write_tum_trajectory(stem.with_name(stem.name + ".tum"), stamps_ns, poses)
    write_kitti_trajectory(stem.with_name(stem.name + ".kitti"), poses)
