# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exact optical flow of a rendered drive, what moves included, and what the other image hides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.world.drive import RenderedFrame, SyntheticDrive

FAR = 1000.0  # metres: how far the sky is
HIDDEN = 0.03  # share of the distance by which something else must be nearer


@dataclass(frozen=True, eq=False)
class ExactFlow:
    """Flow from one frame of a drive to another."""

    flow: np.ndarray  # `(2, H, W)` float64 pixels (column, row)
    moving: np.ndarray  # `(H, W)` bool, what moves by itself
    inside: np.ndarray  # `(H, W)` bool, what stays in the other frame's view
    hidden: np.ndarray  # `(H, W)` bool, what is inside but behind something there

    @property
    def visible(self) -> np.ndarray:
        """``(H, W)`` bool: inside and not hidden."""
        return self.inside & ~self.hidden


def exact_flow(drive: SyntheticDrive, frame: RenderedFrame, other: RenderedFrame) -> ExactFlow:
    """Flow from ``frame`` to ``other``, both frames of ``drive``."""
    K = drive.intrinsics.matrix
    height, width = frame.depth.shape
    pixels = np.stack(
        [*np.meshgrid(np.arange(width), np.arange(height)), np.ones((height, width))]
    )
    depth = np.minimum(frame.depth.astype(np.float64), FAR)
    points = np.einsum("ij,jhw->ihw", np.linalg.inv(K), pixels) * depth
    world = _moved(frame.T_world_camera, points)
    for number in np.unique(frame.instances[frame.instances > 0]):
        mover = drive.movers[int(number) - 1]
        T = mover.pose(other.stamp_ns * 1e-9) @ invert(mover.pose(frame.stamp_ns * 1e-9))
        where = frame.instances == number
        world[:, where] = _moved(T, world)[:, where]
    there = _moved(invert(other.T_world_camera), world)
    z = np.maximum(there[2], 1e-3)
    projected = np.einsum("ij,jhw->ihw", K, there)[:2] / z
    inside = (projected >= 0).all(0) & (projected[0] <= width - 1)
    inside &= (projected[1] <= height - 1) & (there[2] > 0)
    return ExactFlow(
        projected - pixels[:2],
        frame.instances > 0,
        inside,
        inside & _is_hidden(projected, z, np.minimum(other.depth, FAR)),
    )


def _is_hidden(projected: np.ndarray, z: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Whether all four pixels around a place are nearer than the point that falls there."""
    height, width = depth.shape
    columns, rows = (np.floor(x).astype(int) for x in projected)
    corners = [
        depth[np.clip(rows + dy, 0, height - 1), np.clip(columns + dx, 0, width - 1)]
        for dy in (0, 1)
        for dx in (0, 1)
    ]
    return np.max(corners, axis=0) < (1 - HIDDEN) * z


def _moved(T: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points ``(3, H, W)`` in another frame."""
    return np.einsum("ij,jhw->ihw", T[:3, :3], points) + T[:3, 3, None, None]
