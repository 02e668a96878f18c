# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Obstacles that a costmap would mark from estimated depth, against those of the true depth.

    python -m tools.obstacles shipped --drives street --range 8 --anchoring off local

Marks are counted frame by frame, as Nav2's voxel layer makes them of one cloud: a cell of 5 cm
with a point between the layer's height limits and within its range. A true mark is found where an
estimated one lies within the tolerance. An estimated mark is false where no true one does; it
blocks open space where moreover nothing real stands before it as the camera sees it.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import cv2
import numpy as np

from sfm_depth_ros.bags.frames import read_frames
from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.cli.arguments import named_model
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.estimation.depth_views import depth_to_points
from sfm_depth_ros.estimation.point_gate import PointGate
from sfm_depth_ros.estimation.prepared_model import network_input
from tools.drives import render_drive

CELL = 0.05  # metres
BEARING = 1.0  # degrees of the bins in which something hides what lies behind
REACH = 12.0  # metres of the grid around base_frame's origin
DRIVES = {
    "street": "--style street --seconds 40 --seed 501",
    "corridor": "--style indoor --seconds 40 --seed 502 --height 0.5 --pitch 5",
}


@dataclass(frozen=True)
class Layer:
    """Limits of Nav2's layer, metres."""

    min_height: float = 0.25  # Of a point that marks, above base_frame's origin
    max_height: float = 2.0  # The same
    min_range: float = 0.3  # Of a point that marks, from the camera
    max_range: float = 4.0  # The same

    def marks(self, points: np.ndarray, T_base_camera: np.ndarray) -> np.ndarray:
        """Cells that a cloud marks.

        Args:
            points: ``(N,)`` array with fields x, y, z in metres, in the optical frame.
            T_base_camera: ``(4, 4)`` mounting.

        Returns:
            ``(2 REACH / CELL,) * 2`` bool, rows ahead, columns to the left of base_frame.
        """
        seen = np.stack([points[axis] for axis in ("x", "y", "z")], axis=1).astype(np.float64)
        distance = np.linalg.norm(seen, axis=1)
        base = seen @ T_base_camera[:3, :3].T + T_base_camera[:3, 3]
        kept = (distance >= self.min_range) & (distance <= self.max_range)
        kept &= (base[:, 2] >= self.min_height) & (base[:, 2] <= self.max_height)
        cells = np.floor((base[kept, :2] + REACH) / CELL).astype(int)
        size = round(2 * REACH / CELL)
        cells = cells[((cells >= 0) & (cells < size)).all(axis=1)]
        grid = np.zeros((size, size), bool)
        grid[cells[:, 0], cells[:, 1]] = True
        return grid


class View:
    """The camera above the grid.

    Args:
        T_base_camera: ``(4, 4)`` mounting.
        tolerance: metres.
    """

    def __init__(self, T_base_camera: np.ndarray, tolerance: float) -> None:
        cells = (np.arange(round(2 * REACH / CELL)) + 0.5) * CELL - REACH
        ahead, left = np.meshgrid(cells, cells, indexing="ij")
        ahead, left = ahead - T_base_camera[0, 3], left - T_base_camera[1, 3]
        self._range = np.hypot(ahead, left)
        bearings = np.degrees(np.arctan2(left, ahead))
        self._bin = np.floor((bearings + 180.0) / BEARING).astype(int) % round(360 / BEARING)
        size = 2 * round(tolerance / CELL) + 1
        self._disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))

    def grown(self, cells: np.ndarray) -> np.ndarray:
        """Cells within the tolerance of any of these."""
        return np.asarray(cv2.dilate(cells.astype(np.uint8), self._disc)) > 0

    def hidden_by(self, cells: np.ndarray) -> np.ndarray:
        """Cells farther than the nearest of these on their bearing, or beside it."""
        nearest = np.full(round(360 / BEARING), np.inf)
        np.minimum.at(nearest, self._bin[cells], self._range[cells])
        nearest = np.minimum.reduce([np.roll(nearest, step) for step in (-1, 0, 1)])
        return np.asarray(self._range > nearest[self._bin])


@dataclass
class Counts:
    """Cells over all frames."""

    frames: int = 0  # Compared
    true: int = 0  # Marked by the true depth
    found: int = 0  # Of them, near an estimated mark
    marked: int = 0  # Marked by the estimate
    false: list[int] = field(default_factory=list)  # Of them, far from every true mark; a frame
    blocking: list[int] = field(default_factory=list)  # Of those, in open space; a frame

    def add(self, estimated: np.ndarray, true: np.ndarray, around: np.ndarray, view: View) -> None:
        """Compare one frame.

        Args:
            estimated: Cells that the estimate marks.
            true: Cells that the true depth marks.
            around: The same with a longer range and half the least height, so that nothing real
                near a limit counts as false.
            view: The camera's place and the tolerance.
        """
        self.frames += 1
        self.true += int(true.sum())
        self.found += int((true & view.grown(estimated)).sum())
        self.marked += int(estimated.sum())
        false = estimated & ~view.grown(around)
        self.false.append(int(false.sum()))
        self.blocking.append(int((false & ~view.hidden_by(around)).sum()))

    def row(self) -> dict[str, float]:
        """Recall, false marks a frame, and share of frames without one in open space."""
        return {
            "frames": self.frames,
            "true_cells": self.true / max(self.frames, 1),
            "recall": self.found / max(self.true, 1),
            "marked_cells": self.marked / max(self.frames, 1),
            "false_cells": float(np.mean(self.false)),
            "blocking_cells": float(np.mean(self.blocking)),
            "frames_open": float(np.mean([count == 0 for count in self.blocking])),
        }


def measure(
    model: str, bag: Path, config: DepthNodeConfig, layer: Layer, tolerance: float, skip: int
) -> Counts:
    """Drive a bag with truth, and compare the marks of every frame.

    Args:
        model: Model folder, or ``shipped``.
        bag: rosbag2 with ``/ground_truth/depth`` of every image.
        config: ``anchoring`` and the limits of the cloud.
        layer: Limits of the costmap's layer.
        tolerance: metres.
        skip: Frames at the start that are not counted: the landmarks' first seconds.
    """
    folder = named_model(model)
    wanted = network_input(folder, config, config.tracking_width)
    frames = read_frames(BagSelection(bag), wanted)
    gate, T = PointGate.of(config), frames.rig.T_base_camera
    wider = dataclasses.replace(
        layer, min_height=layer.min_height / 2, max_range=layer.max_range + 4 * tolerance
    )
    counts, view, estimator = Counts(), View(T, tolerance), None
    for index, given in enumerate(frames):
        frame = given.frame
        if estimator is None:
            camera = CameraModel.from_intrinsics(frame.intrinsics, frame.frame_id)
            bare = dataclasses.replace(config, input_width=frame.intrinsics.width)
            estimator = DepthEstimator(folder, camera, bare)
            estimator.wants_confidence = config.points_min_confidence > 0
        result = estimator.estimate_frame(frame, frames.velocities)
        if index < skip or given.depth is None:
            continue
        points = result.points(config.points_stride, config.points_min_confidence)
        cloud = gate.apply(points, T)
        truth = depth_to_points(given.depth, frame.image, frame.intrinsics)
        assert cloud is not None
        marks = [layer.marks(points, T) for points in (cloud, truth)]
        counts.add(marks[0], marks[1], wider.marks(truth, T), view)
    if estimator is not None:
        estimator.close()
    return counts


def table(rows: Iterable[tuple[str, str, dict[str, float]]]) -> str:
    """Markdown table of the figures, for docs/nav2.md."""
    lines = [
        "| drive | anchoring | frames | true cells a frame | recall | cells marked a frame | "
        "displaced or false | of them in open space | frames with open space free of them |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {drive} | {anchoring} | {row['frames']:.0f} | {row['true_cells']:.0f} | "
        f"{100 * row['recall']:.0f} % | {row['marked_cells']:.0f} | {row['false_cells']:.1f} | "
        f"{row['blocking_cells']:.1f} | {100 * row['frames_open']:.0f} % |"
        for drive, anchoring, row in rows
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="shipped")
    parser.add_argument("--drives", nargs="+", choices=DRIVES, default=list(DRIVES))
    parser.add_argument("--range", type=float, nargs="+", default=[4.0], help="metres")
    parser.add_argument("--min-height", type=float, default=Layer.min_height, help="metres")
    parser.add_argument("--tolerance", type=float, default=0.25, help="metres")
    parser.add_argument("--anchoring", nargs="+", default=["off", "local"])
    parser.add_argument("--min-confidence", type=float, nargs="+", default=[0.0])
    parser.add_argument("--skip", type=int, default=20, help="frames not counted at the start")
    parser.add_argument("--folder", type=Path, default=Path("out/obstacles"))
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for drive in options.drives:
        bag = render_drive(options.folder, DRIVES[drive])
        for reach, anchoring, least in product(
            options.range, options.anchoring, options.min_confidence
        ):
            layer = Layer(options.min_height, max_range=reach)
            config = DepthNodeConfig(
                anchoring=anchoring, precision="fp32", points_max_depth=reach + 2.0,
                points_max_height=layer.max_height, points_voxel_size=CELL,
                points_min_confidence=least,
            )  # fmt: skip
            counts = measure(options.model, bag, config, layer, options.tolerance, options.skip)
            name = anchoring + (f", confidence {least:g}" if least else "")
            rows.append((f"{drive}, to {reach:g} m", name, counts.row()))
    print(table(rows))


if __name__ == "__main__":
    main()
