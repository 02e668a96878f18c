# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML page of a training run: losses, validations, pictures, options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfm_depth_ros.estimation.depth_views import BAR_DEPTHS, depth_bar
from sfm_depth_ros.report import page as html
from sfm_depth_ros.report.page import number
from sfm_depth_ros.report.pictures import bar_source, picture_source
from sfm_depth_ros.report.plots import Line, line_plot, svg_source
from sfm_depth_ros.storage import write_whole

if TYPE_CHECKING:  # needs torch
    from sfm_depth_ros.training.offline.history import RunHistory

_FEW = 20  # rows, which are drawn as points too
_PICTURES = {
    "target": "image",
    "depth": "predicted depth",
    "warped": "the image before, seen from this one",
    "error": "photometric error",
}


def write_training_page(
    path: Path, report: Mapping[str, Any], history: RunHistory, options: Mapping[str, Any]
) -> None:
    """Write the page.

    Args:
        path: The file.
        report: As ``train --json`` holds it.
        history: Kept while the run went on; from the resumption on, where it was resumed.
        options: Value of every option of the recipe by dotted name.
    """
    parts = [
        _cards(report),
        html.section("Losses", html.plots(loss_plots(history.rows))),
        html.section("Validation", *_validation(report["validations"])),
        *_pictures(history),
        html.section("Recipe", html.plots(_option_tables(options))),
    ]
    ended = f"{report['steps']} steps, {report['ended']}; best at step {report['best_step']}"
    write_whole(path, html.page(f"Training of model {report['model_id']}", ended, parts))


def _option_tables(options: Mapping[str, Any]) -> list[str]:
    """Options with their values in three tables side by side."""
    rows = [[name, str(value)] for name, value in options.items()]
    count = -(-len(rows) // 3)
    parts = (rows[first : first + count] for first in range(0, len(rows), count))
    return [html.table(["option", "value"], part) for part in parts]


def loss_plots(rows: Sequence[Mapping[str, float]]) -> list[str]:
    """Figures of all loss terms, and of the learning rate, over the steps.

    Args:
        rows: ``RunHistory.rows``.
    """
    steps = [row["step"] for row in rows]
    style = "-" if len(rows) > _FEW else ".-"
    names = sorted({name for row in rows for name in row if name.startswith("loss.")})
    lines = []
    for name in names:
        points = [(row["step"], row[name]) for row in rows if row.get(name, 0.0) > 0]
        label = name.removeprefix("loss.")
        lines.append(Line(label, [x for x, _ in points], [y for _, y in points], "", style))
    rates = [row["learning_rate"] for row in rows]
    plots = (
        ("Loss terms", line_plot(lines, "step", "mean since the row before", is_log=True)),
        (
            "Learning rate",
            line_plot([Line("rate", steps, rates, "", style)], "step", ""),
        ),
    )
    return [html.figure(title, svg_source(svg), "plot wide") for title, svg in plots if svg]


def _cards(report: Mapping[str, Any]) -> str:
    best: Mapping[str, float] = next(
        (row for row in report["validations"] if row["step"] == report["best_step"]), {}
    )
    figures = [
        ("steps", str(report["steps"])),
        ("minutes", number(report["seconds"] / 60, "{:.1f}")),
        ("a step", number(1000 * report["step_s"], "{:.0f} ms")),
        ("snippets a second", number(report["snippets_per_s"], "{:.1f}")),
        ("waiting for data", number(100 * report["data_wait_share"], "{:.1f} %")),
        ("steps refused", str(report["refused"])),
        ("best score", number(best.get("score"), "{:.4g}")),
    ]
    return html.cards(figures)


def _validation(rows: Sequence[Mapping[str, float]]) -> list[str]:
    """Curve of every figure, and the table; a sentence where nothing was validated."""
    if not rows:
        return [html.paragraph("No snippets were held out, so nothing was validated.")]
    names = list(dict.fromkeys(name for row in rows for name in row if name != "step"))
    figures = []
    for name in names:
        if name == "frames":  # always the same
            continue
        known = [row for row in rows if row.get(name) is not None]
        line = Line(name, [row["step"] for row in known], [row[name] for row in known], "", ".-")
        svg = line_plot([line], "step", name, (4.4, 2.6))
        figures.append(html.figure(name, svg_source(svg), "plot"))
    cells = [
        [f"{row['step']:g}", *(number(row.get(name), "{:.4g}") for name in names)] for row in rows
    ]
    return [html.plots(figures), html.table(["step", *names], cells)]


def _pictures(history: RunHistory) -> list[str]:
    """Sections of the first and of the last validation's pictures."""
    bar = bar_source(depth_bar()), [f"{depth:g} m" for depth in BAR_DEPTHS]
    legend, sections = html.legend([bar]), []
    for step, pictures in history.pictures:
        figures = (
            html.figure(_PICTURES.get(name, name), picture_source(picture))
            for name, picture in pictures.items()
        )
        title = f"Held-out snippets at step {step}"
        sections.append(html.section(title, html.scene(figures), legend))
    return sections
