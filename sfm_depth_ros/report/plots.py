# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plots of a page as SVG, drawn by matplotlib without pyplot: no display, no global state."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sfm_depth_ros.optional import require

DEPTH, MOTION, TRUTH, SCALED = "#d9480f", "#1864ab", "#495057", "#74a9d8"  # one colour a thing
COLOURS = (DEPTH, MOTION, "#2b8a3e", "#862e9c", "#e67700", TRUTH)


@dataclass(frozen=True)
class Line:
    """One line of a plot."""

    label: str  # Its name in the legend
    x: Sequence[float]  # Places of its points
    y: Sequence[float]  # Their values
    colour: str = ""  # Empty = the next of COLOURS
    style: str = "-"  # matplotlib's format, for example ".-" or "--"


def line_plot(
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    size: tuple[float, float] = (7.2, 2.8),
    is_log: bool = False,
) -> str:
    """Lines over a common axis, as SVG; empty where no line has a point.

    Args:
        lines: What is drawn; those without points are left out.
        x_label: Name and unit of the horizontal axis.
        y_label: The same of the vertical one.
        size: Width and height in inches.
        is_log: Whether the vertical axis is logarithmic.
    """
    drawn = [line for line in lines if len(line.x)]
    if not drawn:
        return ""
    figure = new_figure(*size)
    axis = figure.subplots()
    for index, line in enumerate(drawn):
        colour = line.colour or COLOURS[index % len(COLOURS)]
        axis.plot(line.x, line.y, line.style, color=colour, lw=1.4, ms=3, label=line.label)
    if is_log:
        axis.set_yscale("log")
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.legend(fontsize=8, frameon=False, ncols=min(len(drawn), 4))
    return svg(figure)


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib figure, in inches.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    require("matplotlib")
    return require("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")


def svg(figure: Any) -> str:
    """A figure as SVG text, with the grid and spines that all plots share."""
    for axis in figure.axes:
        axis.grid(alpha=0.25)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return stream.getvalue()


def svg_source(text: str) -> str:
    """SVG text as a data address."""
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()
