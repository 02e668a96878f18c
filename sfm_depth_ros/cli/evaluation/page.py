# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML page of an evaluation: figures, plots and pictures, nothing to load."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sfm_depth_ros.cli.evaluation.plots import distance_plot, path_plot, scale_plot
from sfm_depth_ros.cli.evaluation.scenes import (
    FULL_COLOUR,
    Scene,
    SceneChooser,
    error_colours,
    error_picture,
    truth_picture,
)
from sfm_depth_ros.cli.evaluation.table import DEPTH_COLUMNS, parts_of, protocol_words
from sfm_depth_ros.estimation.depth_views import depth_to_color
from sfm_depth_ros.evaluation.drive_evaluation import DriveEvaluation
from sfm_depth_ros.storage import write_whole

_QUALITY = 88
_LEGEND_DEPTHS = (2, 5, 10, 20, 40, 80)


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
    body = [
        f"<header><h1>Evaluation of {html.escape(report['model'])}</h1>"
        f"<p>{html.escape(protocol_words(report['protocol']))}. Nothing is corrected unless a row "
        "says scaled.</p></header>",
        _cards(report),
        _section("All figures", _depth_table(report) + _motion_table(report)),
    ]
    for name, drive in drives.items():
        body.append(_bag_section(name, report["bags"][name], drive, scenes.scenes(name)))
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Evaluation of {html.escape(report['model'])}</title>"
        f"<style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
    write_whole(path, page)


def _cards(report: dict[str, Any]) -> str:
    """The figures that matter most, large."""
    depth, scaled, motion = (
        report[key] or {} for key in ("depth", "depth_median_scaled", "ego_motion")
    )
    ratios = [report[key] or {} for key in ("depth_scale_ratio", "translation_scale_ratio")]
    figures = (
        ("abs_rel, unscaled", depth.get("abs_rel"), "{:.3f}"),
        ("abs_rel, median scaled", scaled.get("abs_rel"), "{:.3f}"),
        ("depth scale ratio", ratios[0].get("median"), "{:.3f}"),
        ("translation scale ratio", ratios[1].get("median"), "{:.3f}"),
        ("translation error", motion.get("translation_error_percent"), "{:.1f} %"),
        ("rotation error", motion.get("rotation_error_deg_per_100m"), "{:.1f} deg/100 m"),
        ("speed rmse", motion.get("speed_rmse_mps"), "{:.2f} m/s"),
        ("frames", report["frames"], "{:d}"),
    )
    cards = (
        f"<div class=card><b>{_number(value, form)}</b><span>{label}</span></div>"
        for label, value, form in figures
    )
    return f"<div class=cards>{''.join(cards)}</div>"


def _depth_table(report: dict[str, Any]) -> str:
    head = ["bag", "depth", *DEPTH_COLUMNS, "scale ratio (iqr)", "frames", "points"]
    rows = []
    for name, part in parts_of(report).items():
        for key, label in (("depth", "unscaled"), ("depth_median_scaled", "median scaled")):
            rows.append([name, label, *_depth_cells(part[key], part["depth_scale_ratio"])])
        if stereo := part.get("stereo_baseline"):
            ratio = stereo["depth_scale_ratio"]
            rows.append([name, "stereo SGBM", *_depth_cells(stereo["depth"], ratio)])
    return _table(head, rows)


def _depth_cells(errors: dict[str, Any] | None, ratio: dict[str, Any] | None) -> list[str]:
    if errors is None or ratio is None:
        return ["-"] * (len(DEPTH_COLUMNS) + 3)
    return [
        *(f"{errors[column]:.3f}" for column in DEPTH_COLUMNS),
        _ratio(ratio),
        str(errors["frames"]),
        str(errors["points"]),
    ]


def _motion_table(report: dict[str, Any]) -> str:
    head = ["bag", "translation", "scaled", "rotation", "segments", "true path", "speed rmse",
            "pairs", "translation ratio (iqr)", "scale monitor (iqr)"]  # fmt: skip
    rows = []
    for name, part in parts_of(report).items():
        motion = part["ego_motion"]
        rows.append([
            name,
            _number(motion["translation_error_percent"], "{:.2f} %"),
            _number(motion["translation_error_percent_scaled"], "{:.2f} %"),
            _number(motion["rotation_error_deg_per_100m"], "{:.2f} deg/100 m"),
            str(motion["segments"]),
            _number(motion["true_path_m"], "{:.0f} m"),
            _number(motion["speed_rmse_mps"], "{:.2f} m/s"),
            str(motion["frames"]),
            _ratio(part["translation_scale_ratio"]),
            _ratio(part["depth_scale_monitor"]),
        ])  # fmt: skip
    return _table(head, rows)


def _bag_section(
    name: str, part: dict[str, Any], drive: DriveEvaluation, scenes: Sequence[Scene]
) -> str:
    plots = [
        ("Scale and error over time", scale_plot(drive), "wide"),
        ("Path from above", path_plot(drive), ""),
        ("Error by distance", distance_plot(part["depth_by_distance"]), ""),
    ]
    drawn = "".join(
        f"<figure class='plot {size}'><img alt='{title}' src='{_svg_source(svg)}'>"
        f"<figcaption>{title}</figcaption></figure>"
        for title, svg, size in plots
        if svg
    )
    lengths = _length_table(part["ego_motion"]["by_length"])
    legend = _legend() if scenes else ""
    pictures = "".join(map(_scene, scenes))
    return _section(name, f"<div class=plots>{drawn}</div>{lengths}{legend}{pictures}")


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
    return _table(head, cells) if rows else ""


def _scene(scene: Scene) -> str:
    pictures = [("image", scene.image), ("predicted depth", depth_to_color(scene.depth))]
    words = scene.label
    if scene.matched is not None and scene.abs_rel is not None:
        pictures += [
            ("true depth", truth_picture(scene, scene.matched)),
            ("error", error_picture(scene, scene.matched)),
        ]
        words += f" (number {scene.number}): abs_rel {scene.abs_rel:.3f}"
    drawn = "".join(
        f"<figure><img alt='{title}' src='{_picture_source(picture)}'>"
        f"<figcaption>{title}</figcaption></figure>"
        for title, picture in pictures
    )
    return f"<h3>{html.escape(words)}</h3><div class=scene>{drawn}</div>"


def _legend() -> str:
    """Colour bars of depth and of error."""
    depths = np.geomspace(_LEGEND_DEPTHS[0], _LEGEND_DEPTHS[-1], 240)[None]
    errors = error_colours(np.linspace(-FULL_COLOUR, FULL_COLOUR, 240))[None]
    bars = (
        ("depth", depth_to_color(depths), [f"{depth:g} m" for depth in _LEGEND_DEPTHS]),
        ("error", errors, [f"{100 * FULL_COLOUR:.0f} % too near", "right",
                           f"{100 * FULL_COLOUR:.0f} % too far"]),
    )  # fmt: skip
    drawn = "".join(
        f"<div><img alt='' src='{_picture_source(np.repeat(bar, 14, axis=0), '.png')}'>"
        f"<p>{''.join(f'<span>{word}</span>' for word in words)}</p></div>"
        for _, bar, words in bars
    )
    return f"<div class=legend>{drawn}</div>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{html.escape(title)}</h2>{content}</section>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th>{html.escape(word)}</th>" for word in head)
    lines = "".join(
        f"<tr>{''.join(f'<td>{html.escape(word)}</td>' for word in row)}</tr>" for row in rows
    )
    return f"<div class=table><table><tr>{cells}</tr>{lines}</table></div>"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _ratio(summary: dict[str, Any] | None) -> str:
    return f"{summary['median']:.3f} ({summary['iqr']:.3f})" if summary else "-"


def _svg_source(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _picture_source(picture: np.ndarray, ending: str = ".jpg") -> str:
    """``(h, w, 3)`` uint8 RGB as a data address."""
    bgr = np.ascontiguousarray(picture[..., ::-1])
    is_png = ending == ".png"
    options = [] if is_png else [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    _, data = cv2.imencode(ending, bgr, options)
    kind = "png" if is_png else "jpeg"
    return f"data:image/{kind};base64," + base64.b64encode(data.tobytes()).decode()


STYLE = """
:root { --ink: #212529; --soft: #6c757d; --line: #dee2e6; --paper: #fff; --ground: #f4f5f7;
  --accent: #d9480f; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1280px; padding: 28px 20px 60px; background: var(--ground);
  color: var(--ink); font: 15px/1.45 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
header h1 { margin: 0; font-size: 26px; font-weight: 650; }
header p { margin: 4px 0 20px; color: var(--soft); }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin: 18px 0; }
h2 { margin: 0 0 12px; font-size: 19px; font-weight: 620; }
h3 { margin: 22px 0 6px; font-size: 14px; font-weight: 600; color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  padding: 12px 14px; }
.card b { display: block; font-size: 22px; font-weight: 650; color: var(--accent);
  white-space: nowrap; }
.card span { color: var(--soft); font-size: 13px; }
.table { overflow-x: auto; margin-bottom: 14px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: 13.5px; }
th, td { padding: 5px 10px; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 0; }
figcaption { color: var(--soft); font-size: 12.5px; padding: 3px 2px 0; }
.plots { display: grid; grid-template-columns: 1.55fr 1fr 1fr; gap: 14px; align-items: start; }
.plots img, .scene img { display: block; width: 100%; height: auto; }
.scene { display: grid; grid-template-columns: 1fr 1fr; gap: 10px 12px; }
.scene img { border-radius: 6px; background: #000; }
.legend { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; margin-top: 18px; }
.legend img { display: block; width: 100%; height: 12px; border-radius: 6px; }
.legend p { display: flex; justify-content: space-between; margin: 2px 0 0; font-size: 12px;
  color: var(--soft); }
@media (max-width: 900px) { .plots, .scene, .legend { grid-template-columns: 1fr; } }
"""
