# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth eval``: a model's errors on bags, in metres, with nothing corrected."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfm_depth_ros.cli.frame_counter import FrameCounter
from sfm_depth_ros.cli.inference_options import add_inference_arguments, node_config
from sfm_depth_ros.cli.output_paths import output_file, output_folder
from sfm_depth_ros.errors import ConfigError

if TYPE_CHECKING:
    from sfm_depth_ros.pipeline.drive_evaluation import DriveEvaluation

_DEPTH_COLUMNS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_inference_arguments(parser)
    parser.add_argument(
        "bags",
        metavar="BAG",
        nargs="+",
        help="rosbag2 with images; truth in "
        "/ground_truth/depth and /ground_truth/odom where there is any",
    )
    parser.add_argument(
        "--max-depth",
        type=float,
        default=80.0,
        help="farthest truth that counts, metres (default: 80, as in the literature)",
    )
    parser.add_argument(
        "--json", type=output_file, metavar="FILE", help="write the report here as well"
    )
    parser.add_argument(
        "--trajectories",
        type=output_folder,
        metavar="DIR",
        help="write predicted and true trajectories here, in TUM's format",
    )


def run(options: argparse.Namespace) -> int:
    """Evaluate, print tables, write files."""
    from sfm_depth_ros.networks.model_folder import read_model_folder
    from sfm_depth_ros.pipeline.evaluation import evaluate_bags, report_of

    if not options.max_depth > 0:
        raise ConfigError(f"--max-depth: expected metres above 0, got {options.max_depth:g}")
    folder = read_model_folder(options.model)
    counter = FrameCounter("eval")
    drives = evaluate_bags(
        folder, options.bags, node_config(options), max_depth=options.max_depth, on_frame=counter
    )
    counter.end()
    report = report_of(folder, drives, options.max_depth)
    print("\n".join(table(report)))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.trajectories:
        _write_trajectories(options.trajectories, drives)
    return 0


def table(report: dict[str, Any]) -> list[str]:
    """The report as lines for people."""
    parts = {**report["bags"], "all": report} if len(report["bags"]) > 1 else report["bags"]
    width = max(len(name) for name in parts)
    lines = [
        f"model {report['model']}; unscaled unless it says otherwise, truth up to "
        f"{report['max_depth']:g} m",
        "",
    ]
    header = " ".join(f"{column:>8}" for column in _DEPTH_COLUMNS)
    lines.append(f"{'depth':{width + 14}} {header}   frames")
    for name, part in parts.items():
        for row, scaled in (("depth", ""), ("depth_median_scaled", "median scaled")):
            lines.append(f"{name:{width}} {scaled:13} {_depth_row(part[row])}")
    lines.append("")
    lines.append(f"{'scale, predicted / true':{width + 14}} median (iqr, count)")
    for name, part in parts.items():
        for row in ("depth_scale_ratio", "depth_scale_monitor", "translation_scale_ratio"):
            lines.append(f"{name:{width}} {row:24} {_ratio(part[row])}")
    lines.append("")
    lines.append("ego-motion")
    for name, part in parts.items():
        lines.append(f"{name:{width}} {_motion_row(part['ego_motion'])}")
    return lines


def _depth_row(errors: dict[str, Any] | None) -> str:
    if errors is None:
        return "no true depth"
    numbers = " ".join(f"{errors[column]:8.3f}" for column in _DEPTH_COLUMNS)
    return f"{numbers} {errors['frames']:8d}"


def _ratio(summary: dict[str, Any] | None) -> str:
    if summary is None:
        return "not known"
    return f"{summary['median']:.3f} ({summary['iqr']:.3f}, {summary['count']})"


def _motion_row(motion: dict[str, Any]) -> str:
    speed = motion["speed_rmse_mps"]
    words = [] if speed is None else [f"speed rmse {speed:.3f} m/s over {motion['frames']} pairs"]
    if motion["segments"]:
        words.append(
            f"translation {motion['translation_error_percent']:.2f} % "
            f"(scaled {motion['translation_error_percent_scaled']:.2f} %), rotation "
            f"{motion['rotation_error_deg_per_100m']:.2f} deg/100 m over "
            f"{motion['segments']} segments"
        )
    return ", ".join(words) or "nothing to compare with"


def _write_trajectories(folder: Path, drives: dict[str, DriveEvaluation]) -> None:
    """One file for each unbroken stretch."""
    from sfm_depth_ros.metrics.trajectory import write_tum_trajectory

    folder.mkdir(parents=True, exist_ok=True)
    for name, drive in drives.items():
        stem = re.sub(r"[^\w.-]+", "_", name)
        for index, path in enumerate(drive.paths):
            write_tum_trajectory(
                folder / f"{stem}_{index}_predicted.tum", path.stamps_ns, path.predicted
            )
            if path.truth:
                write_tum_trajectory(
                    folder / f"{stem}_{index}_truth.tum", path.stamps_ns, path.truth
                )
