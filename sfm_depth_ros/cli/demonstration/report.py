# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Report of a demo: the models before and after, compared and written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.bags.frames import BagFrame, BagFrames, read_frames
from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.cli.demonstration.pictures import Scene
from sfm_depth_ros.cli.demonstration.processes import worker_pool
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.evaluation.evaluator import Evaluator
from sfm_depth_ros.evaluation.report import summarize_drives
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.model_folder.metadata import without_nan

SCENES = 3


@dataclass(frozen=True)
class Part:
    """A bag from some time on."""

    name: str  # What it is called in the report
    bag: Path  # The bag
    from_s: float = 0.0  # Seconds after the first image

    def frames(self, width: int, tracking_width: int = 0) -> BagFrames:
        """Frames at the network's size, with tracking images where they have a width."""
        selection = BagSelection(self.bag, self.from_s)
        return read_frames(
            selection, NetworkInput(width, tracking_width=tracking_width, narrows=True)
        )


def compare(parts: Sequence[Part], before: Path, after: Path) -> list[Comparison]:
    """Evaluate both models on every part, nothing corrected; two processes at a time."""
    jobs = [(part, model) for part in parts for model in (before, after)]
    with worker_pool() as pool:
        reports = pool.starmap(_report, jobs, chunksize=1)
    return [
        Comparison(part.name, reports[2 * index], reports[2 * index + 1])
        for index, part in enumerate(parts)
    ]


def look_at(part: Part, before: ModelFolder, after: ModelFolder) -> list[Scene]:
    """Depth of both models on images spread over the part, those with truth if there are any."""
    items = list(part.frames(before.width))
    items = [item for item in items if item.depth is not None] or items
    chosen = [items[round(share * (len(items) - 1))] for share in np.linspace(0.1, 0.9, SCENES)]
    depths = (_depths(chosen, before), _depths(chosen, after))
    return [
        Scene(item.frame.image, old, new, item.depth)
        for item, old, new in zip(chosen, *depths, strict=True)
    ]


def _report(part: Part, model: Path) -> dict[str, Any]:
    folder = read_model_folder(model)
    config = DepthNodeConfig(precision="fp32")
    frames = part.frames(folder.width, config.tracking_width)
    evaluator = Evaluator(folder, config, motion_modes=())  # fused is what is published
    drive = evaluator.evaluate_frames(frames, frames.velocities)
    return {"model": folder.model_id, **summarize_drives([drive])}


def _depths(items: Sequence[BagFrame], folder: ModelFolder) -> list[np.ndarray]:
    frame = items[0].frame
    camera = CameraModel.from_intrinsics(frame.intrinsics, frame.frame_id)
    config = DepthNodeConfig(
        input_width=frame.intrinsics.width, apply_scale="off", precision="fp32"
    )
    estimator = DepthEstimator(folder, camera, config)
    try:
        return [estimator.estimate_frame(item.frame).depth for item in items]
    finally:
        estimator.close()


Report = Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """The shipped and the learnt model on the same images, none of them given to the trainer."""

    name: str  # What was driven
    before: Report  # Report of the shipped model, as `eval --json` has it
    after: Report  # Report of the last accepted model


@dataclass(frozen=True)
class LiveFigures:
    """Counts of the live run."""

    # Images `played`, `received`, `dropped`, `lost`, `published` (and `failed`)
    frames: Mapping[str, int]
    latency_ms: Mapping[str, float | None]  # Image in to last message out, `p50` and `p95`
    models_deployed: int  # Models that the trainer handed over
    seconds: float  # Length of the drive as it was played
    details: Mapping[str, Any] = field(default_factory=dict)  # Whatever else is worth keeping


def summary(live: LiveFigures, comparisons: list[Comparison]) -> dict[str, Any]:
    """Content of ``summary.json``; the top level has the first comparison."""
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
    """The figures as lines of text: the network's alone, then held to geometry."""
    frames = "  ".join(f"{name} {count}" for name, count in live.frames.items())
    latency = "  ".join(f"{name} {_text(value, '.1f')}" for name, value in live.latency_ms.items())
    lines = [
        f"images         {frames}",
        f"latency, ms    {latency}",
        f"models         {live.models_deployed} handed over while driving",
        *_why_none(live),
    ]
    for comparison in comparisons:
        lines += ["", f"{comparison.name:44} {'before':>8} {'after':>8}"]
        for place, label in _ROWS.items():
            values = [_figure(report, *place) for report in (comparison.before, comparison.after)]
            before, after = (_text(value, ".3f") for value in values)
            lines.append(f"  {label:42} {before:>8} {after:>8}")
    return "\n".join(lines)


def _why_none(live: LiveFigures) -> list[str]:
    """Reason why nothing was handed over, from the trainer's last status; none where it was."""
    facts = live.details.get("trainer_node")
    if live.models_deployed or not isinstance(facts, Mapping):
        return []
    verdict = facts.get("verdict") or facts.get("note") or facts.get("reason")
    reasons = [f"{facts.get('steps') or 0:.0f} training steps", verdict, facts.get("advice")]
    return [f"               why none: {'; '.join(str(text) for text in reasons if text)}"]


# By sections and name in the report of `eval`. Geometry, which holds depth and measures motion,
# is the same before and after; the network's own rows show what was learnt.
_ROWS = {
    ("depth", "abs_rel"): "abs_rel, unscaled",
    ("depth_median_scaled", "abs_rel"): "abs_rel, median-scaled",
    ("depth", "a1"): "a1, unscaled",
    ("depth_scale_ratio", "median"): "depth_scale_ratio (1 = metric)",
    ("ego_motion_network", "translation_scale_ratio", "median"): (
        "translation_scale_ratio (1 = metric)"
    ),
    ("depth_anchored", "abs_rel"): "held to landmarks: abs_rel, unscaled",
    ("depth_anchored_median_scaled", "abs_rel"): "held to landmarks: abs_rel, median-scaled",
    ("ego_motion_network", "translation_error_percent"): "ego-motion, network: translation, %",
    ("ego_motion_network", "rotation_error_deg_per_100m"): "ego-motion, network: deg/100 m",
    ("ego_motion", "translation_error_percent"): "ego-motion, fused: translation, %",
    ("ego_motion", "rotation_error_deg_per_100m"): "ego-motion, fused: deg/100 m",
}


def _before_after(comparison: Comparison) -> dict[str, Any]:
    reports = {"before": comparison.before, "after": comparison.after}
    return {
        "abs_rel": {w: _figure(report, "depth", "abs_rel") for w, report in reports.items()},
        "depth_scale_ratio": {w: r.get("depth_scale_ratio") for w, r in reports.items()},
        "translation_scale_ratio": {
            w: _section(r, "ego_motion_network").get("translation_scale_ratio")
            for w, r in reports.items()
        },
    }


def _figure(report: Report, *place: str) -> float | None:
    *sections, name = place
    value: float | None = _section(report, *sections).get(name)
    return value


def _section(report: Report, *names: str) -> Report:
    """Section of a report, empty where there is none."""
    for name in names:
        report = report.get(name) or {}
    return report


def _text(value: float | None, style: str) -> str:
    return "-" if value is None else format(value, style)
