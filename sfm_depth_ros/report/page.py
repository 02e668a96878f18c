# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of a self-contained HTML page: cards, sections, tables, figures. Text is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

DASH = "-"  # Shown for a figure that is not known


def page(title: str, subtitle: str, parts: Iterable[str], script: str = "") -> str:
    """A whole page that loads nothing.

    Args:
        title: Heading, and title of the window.
        subtitle: One sentence below it; may be empty.
        parts: HTML of the body, in order.
        script: JavaScript of the page; empty = none.
    """
    below = f"<p>{html.escape(subtitle)}</p>" if subtitle else ""
    scripts = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><header><h1>{html.escape(title)}</h1>{below}</header>"
        f"{''.join(parts)}{scripts}</body></html>\n"
    )


def section(title: str, *parts: str) -> str:
    """A titled box around parts."""
    return f"<section><h2>{html.escape(title)}</h2>{''.join(parts)}</section>"


def heading(text: str) -> str:
    """A small heading within a section."""
    return f"<h3>{html.escape(text)}</h3>"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p class=text>{html.escape(text)}</p>"


def cards(figures: Iterable[tuple[str, str]]) -> str:
    """The figures that matter most, large.

    Args:
        figures: Label and value of each.
    """
    boxes = (
        f"<div class=card><b>{html.escape(value)}</b><span>{html.escape(label)}</span></div>"
        for label, value in figures
    )
    return f"<div class=cards>{''.join(boxes)}</div>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a row of headings; first column to the left, numbers to the right."""
    cells = "".join(f"<th>{html.escape(word)}</th>" for word in head)
    lines = "".join(
        f"<tr>{''.join(f'<td>{html.escape(word)}</td>' for word in row)}</tr>" for row in rows
    )
    return f"<div class=table><table><tr>{cells}</tr>{lines}</table></div>"


def figure(caption: str, source: str, kind: str = "") -> str:
    """A picture or plot with its caption.

    Args:
        caption: Text below it.
        source: Data address, see ``pictures.picture_source`` and ``plots.svg_source``.
        kind: Class of the style sheet: ``plot``, ``plot wide``, or empty.
    """
    text = html.escape(caption)
    name = f" class='{html.escape(kind)}'" if kind else ""
    return (
        f"<figure{name}><img alt='{text}' src='{source}'><figcaption>{text}</figcaption></figure>"
    )


def plots(figures: Iterable[str]) -> str:
    """Plots side by side."""
    return f"<div class=plots>{''.join(figures)}</div>"


def scene(figures: Iterable[str]) -> str:
    """Pictures of one image, two to a row."""
    return f"<div class=scene>{''.join(figures)}</div>"


def legend(bars: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Colour bars.

    Args:
        bars: Data address of each bar's picture, and the words below it from left to right.
    """
    return f"<div class=legend>{''.join(colour_bar(*bar) for bar in bars)}</div>"


def colour_bar(source: str, words: Sequence[str]) -> str:
    """One colour bar: the data address of its picture, and the words below it."""
    below = "".join(f"<span>{html.escape(word)}</span>" for word in words)
    return f"<div class=bar><img alt='' src='{source}'><p>{below}</p></div>"


def number(value: float | None, form: str = "{:.3f}") -> str:
    """A figure as text; a dash where it is not known."""
    return DASH if value is None else form.format(value)


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
.text { margin: 6px 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(124px, 1fr)); gap: 12px; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  padding: 12px 14px; }
.card b { display: block; font-size: 20px; font-weight: 650; color: var(--accent);
  overflow-wrap: anywhere; }
.card span { color: var(--soft); font-size: 13px; }
.table { overflow-x: auto; margin-bottom: 14px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: 13.5px; }
th, td { padding: 5px 10px; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { color: var(--soft); font-weight: 600; white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 0; }
figcaption { color: var(--soft); font-size: 12.5px; padding: 3px 2px 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 14px;
  align-items: start; }
.plots .wide { grid-column: 1 / -1; max-width: 900px; }
.plots img, .scene img { display: block; width: 100%; height: auto; }
.scene { display: grid; grid-template-columns: 1fr 1fr; gap: 10px 12px; }
.scene img { border-radius: 6px; background: #000; }
.legend { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; margin-top: 18px; }
.bar img { display: block; width: 100%; height: 12px; border-radius: 6px; }
.bar p { display: flex; justify-content: space-between; margin: 2px 0 0; font-size: 12px;
  color: var(--soft); }
@media (max-width: 900px) { .scene, .legend { grid-template-columns: 1fr; } }
"""
