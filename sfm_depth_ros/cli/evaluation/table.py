# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation report as tables in the terminal and as trajectory files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.evaluation.drive_evaluation import DriveEvaluation
from sfm_depth_ros.evaluation.image_free import ONE_DEPTH, ROW_PROFILE, verdict_words
from sfm_depth_ros.evaluation.trajectory import write_kitti_trajectory, write_tum_trajectory

DEPTH_COLUMNS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3")
RATIOS = ("depth_scale_ratio", "depth_scale_monitor", "translation_scale_ratio")
AFFINE = ("inverse_factor", "inverse_shift")  # A and B of 1 / depth = A output + B, by landmarks
DEPTH_ROWS = (
    ("depth", "network"),
    ("depth_median_scaled", "network, median scaled"),
    ("depth_affine_aligned", "network, affine to truth"),
    ("depth_anchored", "anchored"),
    ("depth_anchored_median_scaled", "anchored, median scaled"),
)
_IMAGE_FREE_ROWS = (
    (ROW_PROFILE, "depth", "row profile, no image"),
    (ROW_PROFILE, "depth_median_scaled", "  median scaled"),
    (ONE_DEPTH, "depth", "one depth for all"),
    (ONE_DEPTH, "depth_median_scaled", "  median scaled"),
)
MOTION_ROWS = (
    ("ego_motion", "as published"),
    ("ego_motion_network", "network"),
    ("ego_motion_visual", "visual"),
    ("ego_motion_fused", "fused"),
)
_LABEL = 24


def table(report: dict[str, Any]) -> list[str]:
    """The report as lines: depth, scale, ego-motion, each with a row for every bag and the total.

    Args:
        report: As ``evaluation.report.report_of`` makes it.
    """
    parts = parts_of(report)
    width = max(len(name) for name in parts)
    lines = [f"model {report['model']}; {protocol_words(report['protocol'])}", ""]
    header = " ".join(f"{column:>8}" for column in DEPTH_COLUMNS)
    lines.append(f"{'depth':{width + _LABEL + 1}} {header} frames   points")
    for name, part in parts.items():
        lines += [
            f"{name:{width}} {label:{_LABEL}} {_depth_row(part[row])}"
            for row, label in DEPTH_ROWS
            if part.get(row) or row == "depth"
        ]
        lines += [
            f"{name:{width}} {label:{_LABEL}} {_depth_row(part[rule][row])}"
            for rule, row, label in _IMAGE_FREE_ROWS
            if part.get(rule)
        ]
        if stereo := part.get("stereo_baseline"):
            share = f", {100 * stereo['coverage']:.0f} % of the truth" if stereo["depth"] else ""
            row = _depth_row(stereo["depth"]) + share
            lines.append(f"{name:{width}} {'stereo SGBM':{_LABEL}} {row}")
    lines += [f"{name:{width}} {words}" for name, words in _verdicts(parts).items()]
    lines += ["", f"{'scale, predicted / true':{width + 25}} median (iqr, count)"]
    for name, part in parts.items():
        lines += [f"{name:{width}} {row:24} {_ratio(part[row])}" for row in RATIOS]
        if not part.get("is_metric", True):
            lines += [f"{name:{width}} {row:24} {_affine(part[row])}" for row in AFFINE]
    lines += ["", "ego-motion"]
    for name, part in parts.items():
        lines += [
            f"{name:{width}} {label:{_LABEL}} {_motion_row(part[row])}"
            for row, label in MOTION_ROWS
            if row == "ego_motion" or (row in part and part[row]["segments"])
        ]
    return [*lines, *_consistency(parts, width)]


def _verdicts(parts: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Comparison of the network with what sees no image, in words; or how to have it."""
    words = {name: verdict_words(part) for name, part in parts.items()}
    found = {name: f"the network is {text}" for name, text in words.items() if text}
    if found or not any(part["depth"] for part in parts.values()):
        return found
    first = next(iter(parts))
    return {
        first: "not compared with a row profile: the model has none; give --profile BAG, another "
        "drive with true depth or an odometer"
    }


def _consistency(parts: dict[str, dict[str, Any]], width: int) -> list[str]:
    """Swimming of the published depth, and worth of its confidence."""
    lines = []
    for name, part in parts.items():
        if (swim := part["temporal"]["relative_difference"]) is not None:
            lines.append(f"{name:{width}} successive depths differ by {100 * swim:.1f} %")
        if (share := part["confidence"]["least_20_percent_error_share"]) is not None:
            lines.append(
                f"{name:{width}} the 20 % least confident pixels carry {100 * share:.0f} % of the "
                f"squared error (AUSE {part['confidence']['ause']:.3f})"
            )
    return ["", *lines] if lines else []


def parts_of(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The report's parts by name: every bag, and the total where there are several."""
    bags: dict[str, dict[str, Any]] = report["bags"]
    return {**bags, "all": report} if len(bags) > 1 else bags


def protocol_words(protocol: dict[str, Any]) -> str:
    """Protocol of the depth evaluation, in words."""
    words = [
        f"truth from {protocol['min_depth']:g} to {protocol['max_depth']:g} m",
        "Garg crop" if protocol["crop"] == "garg" else "no crop",
        "truth brought to the network's size"
        if protocol["resize"] == "truth"
        else f"{protocol['resize']} resized to the truth's size",
    ]
    return ", ".join(words + (["flip post-processing"] if protocol["flip"] else []))


def _depth_row(errors: dict[str, Any] | None) -> str:
    if errors is None:
        return "no true depth"
    numbers = " ".join(f"{errors[column]:8.3f}" for column in DEPTH_COLUMNS)
    return f"{numbers} {errors['frames']:6d} {errors['points']:8d}"


def _ratio(summary: dict[str, Any] | None) -> str:
    if summary is None:
        return "not known"
    return f"{summary['median']:.3f} ({summary['iqr']:.3f}, {summary['count']})"


def _affine(summary: dict[str, Any] | None) -> str:
    if summary is None:
        return "not known: too few landmarks"
    return f"{summary['median']:.4g} ({summary['iqr']:.2g}, {summary['count']}), by landmarks"


def _motion_row(motion: dict[str, Any]) -> str:
    speed = motion["speed_rmse_mps"]
    words = [] if speed is None else [f"speed rmse {speed:.3f} m/s over {motion['frames']} pairs"]
    if motion["segments"]:
        words.append(
            f"translation {motion['translation_error_percent']:.2f} % "
            f"(scaled {motion['translation_error_percent_scaled']:.2f} %), rotation "
            f"{motion['rotation_error_deg_per_100m']:.2f} deg/100 m over "
            f"{motion['segments']} segments of {motion['true_path_m']:.0f} m"
        )
    return ", ".join(words) or "nothing to compare with"


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
