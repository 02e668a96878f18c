# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo has shown: the table for people and ``summary.json`` for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfm_depth_ros.model_folder.folder import without_nan

Report = Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """The shipped and the learnt model on the same images, none of them given to the trainer."""

    name: str  # What was driven
    before: Report  # Report of the shipped model, as `eval --json` has it
    after: Report  # Report of the last accepted model


@dataclass(frozen=True)
class LiveFigures:
    """What was counted while the nodes ran."""

    # Images `played`, `received`, `dropped`, `lost`, `published` (and `failed`)
    frames: Mapping[str, int]
    latency_ms: Mapping[str, float | None]  # Image in to last message out, `p50` and `p95`
    models_deployed: int  # Models that the trainer handed over
    seconds: float  # Length of the drive as it was played
    details: Mapping[str, Any] = field(default_factory=dict)  # Whatever else is worth keeping


def summary(live: LiveFigures, comparisons: list[Comparison]) -> dict[str, Any]:
    """Content of ``summary.json``; the top level speaks of the first comparison."""
    first = comparisons[0]
    return {
        "frames": dict(live.frames),
        "latency_ms": dict(live.latency_ms),
        **_before_after(first),
        "models_deployed": live.models_deployed,
        "seconds": round(live.seconds, 1),
        "details": {
            "evaluated_on": first.name,
            **live.details,
            "comparisons": {
                comparison.name: _before_after(comparison)
                | {"reports": {"before": comparison.before, "after": comparison.after}}
                for comparison in comparisons
            },
        },
    }


def write_summary(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``summary.json``; what is not a number (an empty metric) becomes null."""
    text = json.dumps(without_nan(content), indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def table(live: LiveFigures, comparisons: list[Comparison]) -> str:
    """The figures as lines of text."""
    frames = "  ".join(f"{name} {count}" for name, count in live.frames.items())
    latency = "  ".join(f"{name} {_text(value, '.1f')}" for name, value in live.latency_ms.items())
    lines = [
        f"images         {frames}",
        f"latency, ms    {latency}",
        f"models         {live.models_deployed} handed over while driving",
    ]
    for comparison in comparisons:
        lines += ["", f"{comparison.name:44} {'before':>8} {'after':>8}"]
        for name, label in _ROWS.items():
            values = [_figure(report, name) for report in (comparison.before, comparison.after)]
            before, after = (_text(value, ".3f") for value in values)
            lines.append(f"  {label:42} {before:>8} {after:>8}")
    return "\n".join(lines)


_ROWS = {
    "abs_rel": "abs_rel, unscaled",
    "abs_rel_median_scaled": "abs_rel, median-scaled",
    "a1": "a1, unscaled",
    "depth_scale_ratio": "depth_scale_ratio (1 = metric)",
    "translation_scale_ratio": "translation_scale_ratio (1 = metric)",
}


def _before_after(comparison: Comparison) -> dict[str, Any]:
    reports = {"before": comparison.before, "after": comparison.after}
    return {
        "abs_rel": {when: _figure(report, "abs_rel") for when, report in reports.items()},
        "depth_scale_ratio": {w: r.get("depth_scale_ratio") for w, r in reports.items()},
        "translation_scale_ratio": {
            w: r.get("translation_scale_ratio") for w, r in reports.items()
        },
    }


def _figure(report: Report, name: str) -> float | None:
    if name.endswith("_scale_ratio"):
        return (report.get(name) or {}).get("median")
    section = "depth_median_scaled" if name.endswith("_median_scaled") else "depth"
    return (report.get(section) or {}).get(name.removesuffix("_median_scaled"))


def _text(value: float | None, style: str) -> str:
    return "-" if value is None else format(value, style)
