# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML page of an adaptation: a verdict, and images before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sfm_depth_ros.estimation.depth_views import BAR_DEPTHS, depth_bar, depth_to_color
from sfm_depth_ros.evaluation.depth_errors import depth_errors
from sfm_depth_ros.optional import is_available
from sfm_depth_ros.report import page as html
from sfm_depth_ros.report.page import number
from sfm_depth_ros.report.pictures import picture_source
from sfm_depth_ros.report.plots import Line, line_plot, svg_source
from sfm_depth_ros.storage import write_whole

if TYPE_CHECKING:  # needs torch
    from sfm_depth_ros.training.network_pair import NetworkPair
    from sfm_depth_ros.training.offline.data import Source, TrainingData

FRAMES = 10
_IMAGES = (
    "None of them was learnt from, where the drive is long enough to hold some back. Landmarks: "
    "corners of the image with the depth that the odometer's motion gives them; abs_rel: mean "
    "relative error of depth at them."
)
_CURVE = "Errors while learning, with all of the learnt weights"
_FIGURES = (
    ("landmark_abs_rel", "depth at held-out landmarks, abs_rel"),
    ("landmark_abs_rel_scaled", "the same, median scaled: shape alone"),
    ("landmark_scale_ratio", "scale, predicted / landmarks"),
    ("abs_rel", "rendered drives of other places, abs_rel"),
    ("abs_rel_scaled", "the same, median scaled: shape alone"),
)


@dataclass(frozen=True, eq=False)
class ComparedFrame:
    """One held-out image with its depth by both models."""

    label: str  # Bag, and seconds after its first snippet
    image: np.ndarray  # `(h, w, 3)` uint8 RGB
    before: np.ndarray  # `(h, w)` float32 metres by the model that training began with
    after: np.ndarray  # `(h, w)` float32 metres by the trained one
    landmarks: np.ndarray  # `(h, w)` float32 metres, 0 = unknown

    def abs_rel(self, depth: np.ndarray) -> float | None:
        """Mean relative error at the landmarks; None without any."""
        errors = depth_errors(depth, self.landmarks)
        return errors.abs_rel if errors else None


def compared_frames(
    before: NetworkPair, after: NetworkPair, data: TrainingData
) -> list[ComparedFrame]:
    """Ten held-out images, evenly spread, with depth by both models.

    Args:
        before: In eval mode on the CPU.
        after: Likewise.
        data: Its held-out snippets; those that teach where none are held out.
    """
    import torch

    from sfm_depth_ros.networks.predictions import predict_depths
    from sfm_depth_ros.snippets.zoom import whole_view

    sources = data.recorded_validation or data.recorded
    places = [(source, int(row)) for source in sources for row in source.rows]
    chosen = np.linspace(0, len(places) - 1, min(FRAMES, len(places))).round().astype(int)
    frames = []
    for source, row in (places[index] for index in chosen):
        batch = whole_view(source.cache.batch([row]), data.config.width)
        with torch.no_grad():
            first, second = (
                predict_depths(pair.depth, batch.target, batch.K)[0][0, 0].numpy()
                for pair in (before, after)
            )
        pixels = (batch.target[0].movedim(0, -1) * 255).round().byte().numpy()
        sparse = batch.sparse_depth
        points = np.zeros_like(first) if sparse is None else sparse[0, 0].numpy()
        frames.append(ComparedFrame(_label(source, row), pixels, first, second, points))
    return frames


def _label(source: Source, row: int) -> str:
    rows = source.cache.rows
    begin, now = source.cache.stamps_ns(np.array([rows[0], row]))[:, 0].tolist()
    return f"{source.cache.shape.content}, {(now - begin) * 1e-9:.1f} s"


def write_adaptation_page(
    path: Path, report: Mapping[str, Any], frames: Sequence[ComparedFrame]
) -> None:
    """Write the page.

    Args:
        path: The file.
        report: As ``adapt --json`` holds it.
        frames: Held-out images.
    """
    first, *remarks = report["verdict"]
    parts = [
        _cards(report),
        html.section("Shall I use it?", *map(html.paragraph, (first, *remarks))),
        html.section("Figures", _table(report), *_shares(report), *_curve(report)),
        html.section(
            "Held-out images before and after",
            html.paragraph(_IMAGES),
            _legend(),
            *map(_frame, frames),
        ),
    ]
    begun = f"model {report['began_with']}"
    title = f"Adapted model {report['model_id']}" if report["is_better"] else f"Kept {begun}"
    subtitle = (
        f"{report['steps']} steps in {report['seconds'] / 60:.1f} minutes of training, begun with "
        f"{begun}; {100 * report['learnt_share']:g} % of what the weights learnt is "
        f"{'kept' if report['is_better'] else 'shown below as now'}."
    )
    write_whole(path, html.page(title, subtitle, parts))


def _cards(report: Mapping[str, Any]) -> str:
    before, after = report["before"], report["after"]
    return html.cards(
        [
            ("use it?", "yes" if report["is_better"] else "no"),
            ("error at landmarks, before", number(before.get("landmark_abs_rel"))),
            ("error at landmarks, now", number(after.get("landmark_abs_rel"))),
            ("rendered drives, before", number(before.get("abs_rel"))),
            ("rendered drives, now", number(after.get("abs_rel"))),
        ]
    )


def _table(report: Mapping[str, Any]) -> str:
    rows = [
        [label, number(report["before"].get(name)), number(report["after"].get(name))]
        for name, label in _FIGURES
        if name in report["after"] or name in report["before"]
    ]
    return html.table(["figure", "before", "now"], rows)


def _shares(report: Mapping[str, Any]) -> list[str]:
    """How much of the learnt weights is kept, and why."""
    rows = [
        [
            f"{100 * mixture['share']:g} %",
            number(mixture.get("landmark_abs_rel")),
            number(mixture.get("abs_rel")),
            number(mixture.get("abs_rel_scaled")),
            "chosen" if mixture["share"] == report["learnt_share"] else "",
        ]
        for mixture in report["mixtures"]
    ]
    head = ["of the learnt weights", "landmarks", "rendered", "rendered, scaled", ""]
    text = (
        "Weights between those of before and those that were learnt: the best at the landmarks "
        "of those that lose little on rendered drives (--max-forgetting)."
    )
    return [html.heading("How much of it is kept"), html.paragraph(text), html.table(head, rows)]


def _curve(report: Mapping[str, Any]) -> list[str]:
    """Errors over the steps, where matplotlib is installed."""
    if not is_available("matplotlib"):
        return []
    rows = [{"step": 0, **report["before"]}, *report["validations"]]
    lines = []
    for name, label in (
        ("landmark_abs_rel", "held-out landmarks"),
        ("abs_rel", "rendered drives"),
    ):
        known = [row for row in rows if row.get(name) is not None]
        steps, values = [row["step"] for row in known], [row[name] for row in known]
        lines.append(Line(label, steps, values, "", ".-"))
    svg = line_plot(lines, "step", "abs_rel")
    if not svg:
        return []
    return [html.plots([html.figure(_CURVE, svg_source(svg), "plot wide")])]


def _frame(frame: ComparedFrame) -> str:
    errors = [number(frame.abs_rel(depth)) for depth in (frame.before, frame.after)]
    figures = [
        html.figure("image", picture_source(frame.image)),
        html.figure("landmarks", picture_source(_dots(frame))),
        html.figure(f"depth before, abs_rel {errors[0]}", _source(frame.before)),
        html.figure(f"depth now, abs_rel {errors[1]}", _source(frame.after)),
    ]
    return html.heading(frame.label) + html.scene(figures)


def _legend() -> str:
    bar = picture_source(np.repeat(depth_bar()[None], 14, axis=0), ".png")
    return html.legend([(bar, [f"{depth:g} m" for depth in BAR_DEPTHS])])


def _source(depth: np.ndarray) -> str:
    return picture_source(depth_to_color(depth))


def _dots(frame: ComparedFrame) -> np.ndarray:
    """The image, darker, with its landmarks in the colours of their depth."""
    picture = frame.image // 2
    rows, columns = np.nonzero(frame.landmarks)
    if len(rows):
        colours = depth_to_color(frame.landmarks[rows, columns][None])[0]
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                at = (
                    np.clip(rows + down, 0, picture.shape[0] - 1),
                    np.clip(columns + right, 0, picture.shape[1] - 1),
                )
                picture[at] = colours
    return picture
