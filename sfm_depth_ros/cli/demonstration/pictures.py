# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the demo: depth before, after and true; scale and losses over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.optional import require

SPARSE = 0.2
LOSSES = ("photometric", "velocity", "smoothness")


@dataclass(frozen=True)
class Scene:
    """One image with both models' depths."""

    image: np.ndarray  # `(h, w, 3)` uint8 RGB
    before: np.ndarray  # `(h, w)` metres, the shipped model's
    after: np.ndarray  # `(h, w)` metres, the learnt model's
    truth: np.ndarray | None  # `(h, w)` metres, 0 = unknown; None without truth


def draw_scenes(scenes: Sequence[Scene], path: Path, title: str) -> None:
    """Draw one row a scene: input, depth before, depth after, truth; one colour scale a row."""
    figure_module = _figure_module()
    has_truth = any(scene.truth is not None for scene in scenes)
    columns = ["input", "depth before", "depth after", *(["truth"] if has_truth else [])]
    height, width = scenes[0].image.shape[:2]
    inches = 4.2
    figure = figure_module.Figure(
        figsize=(inches * len(columns) + 0.8, inches * height / width * len(scenes) + 0.7),
        layout="constrained",
    )
    axes = figure.subplots(len(scenes), len(columns), squeeze=False)
    for row, scene in zip(axes, scenes, strict=True):
        _draw_row(figure, row, scene)
    for axis, name in zip(axes[0], columns, strict=True):
        axis.set_title(name, fontsize=10)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=100)


def draw_history(
    training: Sequence[dict[str, Any]], depth: Sequence[dict[str, Any]], path: Path
) -> None:
    """Draw both scale ratios and the loss terms over time.

    Args:
        training: Rows of ``training/status`` with ``seconds``.
        depth: Rows of depth_node's diagnostics with ``seconds``.
        path: Picture to write.
    """
    figure = _figure_module().Figure(figsize=(9, 6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    top.axhspan(0.95, 1.05, color="0.9")
    for name in ("depth_scale_ratio", "translation_scale_ratio"):
        _plot(top, depth, name, name)
    top.set_ylabel("predicted / measured")
    top.set_ylim(0.5, 1.5)
    for name in LOSSES:
        _plot(bottom, training, f"loss.{name}", name)
    bottom.set_yscale("log")
    bottom.set_ylabel("loss")
    bottom.set_xlabel("seconds of the demo")
    for axis in (top, bottom):
        if axis.lines:
            axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def _figure_module() -> Any:
    """Figures without pyplot: no display, no global state."""
    require("matplotlib")
    return require("matplotlib.figure")


def _draw_row(figure: Any, row: Sequence[Any], scene: Scene) -> None:
    depths, reference = [scene.before, scene.after], scene.after
    row[0].imshow(scene.image)
    if scene.truth is not None:
        depths.append(_visible(scene.truth))
        reference = scene.after if _is_sparse(scene.truth) else depths[-1]
    reference = reference[np.isfinite(reference)]
    low, high = np.percentile(np.log(np.maximum(reference, 0.1)), (2, 98))
    for axis, depth in zip(row[1:], depths, strict=False):
        drawn = axis.imshow(np.log(np.maximum(depth, 0.1)), "magma_r", vmin=low, vmax=high)
    bar = figure.colorbar(drawn, ax=list(row), fraction=0.02, pad=0.01)
    ticks = np.linspace(low, high, 4)
    bar.set_ticks(ticks, labels=[f"{np.exp(tick):.0f} m" for tick in ticks])
    for axis in row:
        axis.set_axis_off()


def _visible(truth: np.ndarray) -> np.ndarray:
    """True depth with NaN where unknown; points so sparse that nobody would see them grow."""
    if _is_sparse(truth):
        truth = require("cv2").dilate(truth, np.ones((3, 3), np.uint8))
    return np.where(truth > 0, truth, np.nan)


def _is_sparse(truth: np.ndarray) -> bool:
    return bool((truth > 0).mean() < SPARSE)


def _plot(axis: Any, rows: Sequence[dict[str, Any]], name: str, label: str) -> None:
    points = [
        (row["seconds"], row[name]) for row in rows if isinstance(row.get(name), (int, float))
    ]
    if points:
        axis.plot(*zip(*points, strict=True), label=label, linewidth=1.2)
