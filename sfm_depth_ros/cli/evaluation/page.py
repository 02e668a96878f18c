# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML page of an evaluation: figures, plots and pictures, nothing to load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.cli.evaluation.plots import (
    confidence_plots,
    distance_plot,
    path_plot,
    scale_plot,
)
from sfm_depth_ros.cli.evaluation.scenes import (
    FULL_COLOUR,
    Scene,
    SceneChooser,
    error_colours,
    error_picture,
    truth_picture,
)
from sfm_depth_ros.cli.evaluation.table import (
    DEPTH_COLUMNS,
    DEPTH_ROWS,
    MOTION_ROWS,
    parts_of,
    protocol_words,
)
from sfm_depth_ros.estimation.depth_views import BAR_DEPTHS, depth_bar, depth_to_color
from sfm_depth_ros.evaluation.drive_evaluation import DriveEvaluation
from sfm_depth_ros.evaluation.image_free import ONE_DEPTH, ROW_PROFILE, verdict_words
from sfm_depth_ros.report import page as html
from sfm_depth_ros.report.page import DASH, number
from sfm_depth_ros.report.pictures import bar_source, picture_source
from sfm_depth_ros.report.plots import svg_source
from sfm_depth_ros.storage import write_whole


def write_page(
    path: Path,
    report: dict[str, Any],
    drives: dict[str, DriveEvaluation],
    scenes: SceneChooser,
) -> None:
    """Write the page.

    Args:
        path: The file.
        report: As ``evaluation.report.report_of`` makes it.
        drives: What was measured, by bag.
        scenes: The frames to show.
    """
    parts = [
        _cards(report),
        html.section(
            "All figures", _depth_table(report), _verdicts(report), _motion_table(report)
        ),
    ]
    for name, drive in drives.items():
        parts.append(_bag_section(name, report["bags"][name], drive, scenes.scenes(name)))
    subtitle = (
        f"{protocol_words(report['protocol'])}. Nothing is corrected unless a row says scaled or "
        "anchored."
    )
    write_whole(path, html.page(f"Evaluation of model {report['model']}", subtitle, parts))


def _cards(report: dict[str, Any]) -> str:
    """The figures that matter most, large."""
    depth, scaled, anchored, motion = (
        report[key] or {}
        for key in ("depth", "depth_median_scaled", "depth_anchored", "ego_motion")
    )
    ratios = [report[key] or {} for key in ("depth_scale_ratio", "translation_scale_ratio")]
    figures = (
        ("abs_rel, unscaled", depth.get("abs_rel"), "{:.3f}"),
        ("abs_rel, median scaled", scaled.get("abs_rel"), "{:.3f}"),
        ("abs_rel, anchored", anchored.get("abs_rel"), "{:.3f}"),
        ("depth scale ratio", ratios[0].get("median"), "{:.3f}"),
        ("translation scale ratio", ratios[1].get("median"), "{:.3f}"),
        ("translation error", motion.get("translation_error_percent"), "{:.1f} %"),
        ("rotation error per 100 m", motion.get("rotation_error_deg_per_100m"), "{:.1f} deg"),
        ("speed rmse", motion.get("speed_rmse_mps"), "{:.2f} m/s"),
        ("frames", report["frames"], "{:d}"),
    )
    return html.cards((label, number(value, form)) for label, value, form in figures)


def _depth_table(report: dict[str, Any]) -> str:
    head = ["bag", "depth", *DEPTH_COLUMNS, "scale ratio (iqr)", "frames", "points"]
    rows = []
    for name, part in parts_of(report).items():
        for key, label in DEPTH_ROWS:
            if part.get(key) or key == "depth":
                ratio = part.get(_ratio_key(key))
                rows.append([name, label, *_depth_cells(part[key], ratio)])
        for key, label in ((ROW_PROFILE, "row profile, no image"), (ONE_DEPTH, "one depth")):
            if rule := part.get(key):
                rows.append([name, label, *_depth_cells(rule["depth"], rule["depth_scale_ratio"])])
        if stereo := part.get("stereo_baseline"):
            ratio = stereo["depth_scale_ratio"]
            rows.append([name, "stereo SGBM", *_depth_cells(stereo["depth"], ratio)])
    return html.table(head, rows)


def _ratio_key(row: str) -> str:
    return "depth_anchored_scale_ratio" if "anchored" in row else "depth_scale_ratio"


def _verdicts(report: dict[str, Any]) -> str:
    """Comparison with what sees no image, a sentence for every bag."""
    words = {name: verdict_words(part) for name, part in parts_of(report).items()}
    return "".join(
        html.paragraph(f"{name}: the network is {text}.") for name, text in words.items() if text
    )


def _depth_cells(errors: dict[str, Any] | None, ratio: dict[str, Any] | None) -> list[str]:
    if errors is None or ratio is None:
        return [DASH] * (len(DEPTH_COLUMNS) + 3)
    return [
        *(f"{errors[column]:.3f}" for column in DEPTH_COLUMNS),
        _ratio(ratio),
        str(errors["frames"]),
        str(errors["points"]),
    ]


def _motion_table(report: dict[str, Any]) -> str:
    head = ["bag", "ego-motion", "translation", "scaled", "rotation", "segments", "true path",
            "speed rmse", "pairs", "translation ratio (iqr)", "scale monitor (iqr)"]  # fmt: skip
    rows = []
    for name, part in parts_of(report).items():
        for key, label in MOTION_ROWS:
            if key == "ego_motion" or (part.get(key) or {}).get("segments"):
                ratios = ("translation_scale_ratio", "depth_scale_monitor")
                published = [_ratio(part[ratio]) for ratio in ratios]
                others = published if key == "ego_motion" else [DASH, DASH]
                rows.append([name, label, *_motion_cells(part[key]), *others])
    return html.table(head, rows)


def _motion_cells(motion: dict[str, Any]) -> list[str]:
    return [
        number(motion["translation_error_percent"], "{:.2f} %"),
        number(motion["translation_error_percent_scaled"], "{:.2f} %"),
        number(motion["rotation_error_deg_per_100m"], "{:.2f} deg/100 m"),
        str(motion["segments"]),
        number(motion["true_path_m"], "{:.0f} m"),
        number(motion["speed_rmse_mps"], "{:.2f} m/s"),
        str(motion["frames"]),
    ]


def _bag_section(
    name: str, part: dict[str, Any], drive: DriveEvaluation, scenes: Sequence[Scene]
) -> str:
    calibration, remaining = confidence_plots(part["confidence"]["curve"])
    plots = [
        ("Scale and error over time", scale_plot(drive), "plot wide"),
        ("Path from above", path_plot(drive), "plot"),
        ("Error by distance", distance_plot(part["depth_by_distance"]), "plot"),
        ("Confidence against what was right", calibration, "plot"),
        ("Error without the least confident pixels", remaining, "plot"),
    ]
    drawn = (html.figure(title, svg_source(svg), kind) for title, svg, kind in plots if svg)
    lengths = _length_table(part["ego_motion"]["by_length"])
    legend = _legend() if scenes else ""
    return html.section(name, html.plots(drawn), lengths, legend, *map(_scene, scenes))


def _length_table(rows: Sequence[dict[str, Any]]) -> str:
    """Ego-motion by segment length; empty where the path is too short."""
    head = ["segments of", "translation", "rotation", "count"]
    cells = (
        [
            f"{row['length_m']:g} m",
            f"{row['translation_error_percent']:.2f} %",
            f"{row['rotation_error_deg_per_100m']:.2f} deg/100 m",
            str(row["segments"]),
        ]
        for row in rows
    )
    return html.table(head, cells) if rows else ""


def _scene(scene: Scene) -> str:
    pictures = [("image", scene.image), ("predicted depth", depth_to_color(scene.depth))]
    words = scene.label
    if scene.matched is not None and scene.abs_rel is not None:
        pictures += [
            ("true depth", truth_picture(scene, scene.matched)),
            ("error", error_picture(scene, scene.matched)),
        ]
        words += f" (number {scene.number}): abs_rel {scene.abs_rel:.3f}"
    drawn = (html.figure(title, picture_source(picture)) for title, picture in pictures)
    return html.heading(words) + html.scene(drawn)


def _legend() -> str:
    """Colour bars of depth and of error."""
    errors = error_colours(np.linspace(-FULL_COLOUR, FULL_COLOUR, 240))
    bars = (
        (bar_source(depth_bar()), [f"{depth:g} m" for depth in BAR_DEPTHS]),
        (bar_source(errors), [f"{100 * FULL_COLOUR:.0f} % too near", "right",
                  f"{100 * FULL_COLOUR:.0f} % too far"]),
    )  # fmt: skip
    return html.legend(bars)


def _ratio(summary: dict[str, Any] | None) -> str:
    return f"{summary['median']:.3f} ({summary['iqr']:.3f})" if summary else DASH
