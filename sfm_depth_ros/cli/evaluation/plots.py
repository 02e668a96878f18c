# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plots of an evaluation as SVG: scale and error over time, the path from above, by distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sfm_depth_ros.evaluation.drive_evaluation import DriveEvaluation
from sfm_depth_ros.evaluation.motion_rows import DrivenPath, scaled_path
from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.report.plots import (
    DEPTH,
    MOTION,
    SCALED,
    TRUTH,
    Line,
    line_plot,
    new_figure,
    svg,
)

_WINDOW = 15  # pairs over which the line of a noisy ratio is the median
_SQUARE = (4.4, 4.4)  # inches
_GOAL = 0.03  # half height of the band around a ratio of 1


def scale_plot(drive: DriveEvaluation) -> str:
    """Both scale ratios over time, and depth's error below; empty without either."""
    depth, motion = drive.depth, drive.motion.stamps_ns
    if not depth.stamps_ns and not motion:
        return ""
    start = min([*depth.stamps_ns[:1], *motion[:1]])
    figure = new_figure(7.2, 4.4 if depth.stamps_ns else 2.6)
    axes = figure.subplots(2 if depth.stamps_ns else 1, 1, sharex=True, squeeze=False)[:, 0]
    _draw_ratios(axes[0], drive, start)
    if depth.stamps_ns:
        seconds = _seconds(depth.stamps_ns, start)
        for errors, label, colour in (
            (depth.unscaled, "unscaled", DEPTH),
            (depth.median_scaled, "median scaled", SCALED),
        ):
            values = [frame.abs_rel for frame in errors]
            axes[1].plot(seconds, values, ".-", color=colour, ms=3, lw=0.8, label=label)
        axes[1].set_ylabel("abs_rel")
        axes[1].set_ylim(bottom=0.0)
        axes[1].legend(fontsize=8, frameon=False, ncols=2)
    axes[-1].set_xlabel("seconds")
    return svg(figure)


def path_plot(drive: DriveEvaluation) -> str:
    """The longest stretch from above, predicted and true; empty where nothing moved."""
    paths = [path for path in drive.motion.paths if len(path.stamps_ns) > 1]
    if not paths:
        return ""
    path = max(paths, key=lambda path: (bool(path.truth), len(path.stamps_ns)))
    figure = new_figure(*_SQUARE)
    axis = figure.subplots()
    if path.truth:
        _draw_path(axis, path.truth, color=TRUTH, lw=2.2, label="truth")
        factor = _best_factor(path)
        scaled = scaled_path(path.predicted, factor)
        _draw_path(axis, scaled, color=SCALED, lw=1.2, ls="--", label=f"predicted x {factor:.2f}")
    _draw_path(axis, path.predicted, color=DEPTH, lw=1.6, label="predicted")
    axis.set_aspect("equal", "datalim")
    axis.set_xlabel("metres to the right")
    axis.set_ylabel("metres ahead")
    axis.legend(fontsize=8, frameon=False)
    return svg(figure)


def distance_plot(rows: Sequence[dict[str, Any]]) -> str:
    """Error and bias by true distance; empty without truth.

    Args:
        rows: ``depth_by_distance`` of the report.
    """
    if not rows:
        return ""
    figure = new_figure(*_SQUARE)
    axis = figure.subplots()
    places = np.arange(len(rows))
    axis.bar(places, [row["abs_rel"] for row in rows], 0.7, color="#ffd8a8", label="abs_rel")
    axis.plot(
        places,
        [row["bias"] for row in rows],
        "o-",
        color=DEPTH,
        ms=4,
        lw=1.2,
        label="bias: above 0 = too far",
    )
    axis.axhline(0.0, color=TRUTH, lw=0.8)
    labels = [
        f"{row['from_m']:g}-{row['to_m']:g}" if row["to_m"] else f">{row['from_m']:g}"
        for row in rows
    ]
    axis.set_xticks(places, labels, fontsize=8)
    axis.set_xlabel("true distance, metres")
    axis.legend(fontsize=8, frameon=False)
    return svg(figure)


def confidence_plots(curve: dict[str, Any] | None) -> tuple[str, str]:
    """Calibration of the confidence, and the error that remains; both empty without truth.

    Args:
        curve: ``confidence.curve`` of the report.
    """
    if curve is None:
        return "", ""
    rows = curve["calibration"]
    stated, right = [row["confidence"] for row in rows], [row["right"] for row in rows]
    calibration = line_plot(
        [
            Line("as stated", [0.0, 1.0], [0.0, 1.0], TRUTH, "--"),
            Line("as found", stated, right, DEPTH, "o-"),
        ],
        "confidence",
        "share right within 1 m",
        _SQUARE,
    )
    left_out = [100 * share for share in curve["left_out"]]
    remaining = line_plot(
        [
            Line("by confidence", left_out, curve["rmse"], DEPTH, ".-"),
            Line("best possible", left_out, curve["rmse_best"], TRUTH, "--"),
        ],
        "pixels left out, least confident first, %",
        "rmse of the rest, metres",
        _SQUARE,
    )
    return calibration, remaining


def _draw_ratios(axis: Any, drive: DriveEvaluation, start: int) -> None:
    axis.axhspan(1 - _GOAL, 1 + _GOAL, color="#e9ecef")
    axis.axhline(1.0, color=TRUTH, lw=0.8)
    everything = [*drive.depth.ratios, *drive.motion.translation_ratios]
    for stamps, ratios, colour, label in (
        (drive.motion.stamps_ns, drive.motion.translation_ratios, MOTION, "translation"),
        (drive.depth.stamps_ns, drive.depth.ratios, DEPTH, "depth"),
    ):
        if ratios:
            seconds = _seconds(stamps, start)
            axis.plot(seconds, ratios, ".", color=colour, ms=3, alpha=0.35)
            axis.plot(seconds, _running_median(ratios), color=colour, lw=1.4, label=label)
    axis.set_ylim(0.0, max(1.6, 1.1 * float(np.quantile(everything, 0.97))))
    axis.set_ylabel("predicted / true")
    axis.legend(fontsize=8, frameon=False, ncols=2)


def _draw_path(axis: Any, poses: Sequence[np.ndarray], **style: Any) -> None:
    """Positions in the first camera's frame: to the right and ahead."""
    first = invert(poses[0])
    places = np.array([(first @ pose)[:3, 3] for pose in poses])
    axis.plot(places[:, 0], places[:, 2], **style)


def _best_factor(path: DrivenPath) -> float:
    """True over predicted length of the whole path."""
    lengths = [
        np.linalg.norm(np.diff([pose[:3, 3] for pose in poses], axis=0), axis=1).sum()
        for poses in (path.truth, path.predicted)
    ]
    return float(lengths[0] / lengths[1]) if lengths[1] > 0 else 1.0


def _running_median(values: Sequence[float]) -> list[float]:
    half = _WINDOW // 2
    return [float(np.median(values[max(0, k - half) : k + half + 1])) for k in range(len(values))]


def _seconds(stamps_ns: Sequence[int], start: int) -> np.ndarray:
    return (np.asarray(stamps_ns, np.int64) - start) * 1e-9
