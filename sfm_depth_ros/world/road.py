# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The road's centre line: a smooth curve, and the map from the ground to (along, across) it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

STEP_M = 0.25
CELL_M = 2.0
MARGIN_M = 90.0


@dataclass(frozen=True)
class Road:
    """A centre line sampled every ``STEP_M`` of arc length, starting at ``start``."""

    start: float  # Arc length of the first sample in metres
    xy: np.ndarray  # `(M, 2)` float64 positions
    heading: np.ndarray  # `(M,)` float64 direction in radians

    @property
    def end(self) -> float:
        """Arc length of the last sample."""
        return self.start + STEP_M * (len(self.xy) - 1)

    @cached_property
    def _tangent(self) -> np.ndarray:
        return np.stack([np.cos(self.heading), np.sin(self.heading)], -1) * STEP_M

    @cached_property
    def _slope(self) -> np.ndarray:
        return np.gradient(self.heading)

    def position(self, s: np.ndarray | float, lateral: np.ndarray | float = 0.0) -> np.ndarray:
        """Points ``lateral`` metres to the left of the line, ``(..., 2)``."""
        s = np.asarray(s, float)
        index, fraction = self._locate(s)
        f = fraction[..., None]
        # Cubic Hermite: the curve's first derivative is continuous, so velocities are exact.
        here, there = self.xy[index], self.xy[index + 1]
        out, into = self._tangent[index], self._tangent[index + 1]
        line = here * (1 + 2 * f) * (1 - f) ** 2 + out * f * (1 - f) ** 2
        line = line + there * f**2 * (3 - 2 * f) + into * f**2 * (f - 1)
        yaw = self.yaw(s)
        return line + np.stack([-np.sin(yaw), np.cos(yaw)], -1) * np.asarray(lateral)[..., None]

    def yaw(self, s: np.ndarray | float) -> np.ndarray:
        """Heading at arc length ``s``, radians."""
        index, fraction = self._locate(np.asarray(s, float))
        slope = self._slope
        a, b = self.heading[index], self.heading[index + 1]
        f = fraction
        value = a * (1 + 2 * f) * (1 - f) ** 2 + b * f**2 * (3 - 2 * f)
        return value + slope[index] * f * (1 - f) ** 2 + slope[index + 1] * f**2 * (f - 1)

    def _locate(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        where = (s - self.start) / STEP_M
        index = np.clip(np.floor(where).astype(int), 0, len(self.xy) - 2)
        return index, where - index


def make_road(rng: np.random.Generator, length_m: float, bend: float) -> Road:
    """A road from 30 m behind the start to ``length_m`` ahead, never crossing itself.

    Args:
        rng: Source of randomness.
        length_m: Length ahead in metres.
        bend: 0 = straight, 1 = sharp curves (radius of about 15 m).
    """
    start = -30.0
    s = np.arange(start, length_m, STEP_M)
    heading = np.zeros_like(s)
    for wavelength in (400.0, 160.0, 70.0):
        # The largest heading that keeps the radius above about 15 m / bend.
        limit = bend * min(0.7, wavelength / (2 * math.pi * 25.0))
        amplitude = limit * rng.uniform(-1, 1)
        heading += amplitude * np.sin(2 * math.pi * s / wavelength + rng.uniform(0, 2 * math.pi))
    heading -= np.interp(0.0, s, heading)
    middle = 0.5 * (heading[1:] + heading[:-1])
    steps = STEP_M * np.stack([np.cos(middle), np.sin(middle)], -1)
    xy = np.concatenate([np.zeros((1, 2)), steps.cumsum(0)])
    origin = round(-start / STEP_M)
    return Road(start, xy - xy[origin], heading)


@dataclass(frozen=True)
class GroundMap:
    """Road coordinates on a grid of the ground."""

    origin: tuple[float, float]  # World `(x, y)` of the first cell's centre
    cells: np.ndarray  # `(rows along y, columns along x, 2)` float32 (along, across) in metres


def make_ground_map(road: Road) -> GroundMap:
    """Nearest point of the road for every cell: a distance transform, then Newton steps."""
    low = road.xy.min(0) - MARGIN_M
    size = np.ceil((road.xy.max(0) + MARGIN_M - low) / CELL_M).astype(int) + 1
    far = np.ones((size[1], size[0]), np.uint8)
    cells = np.rint((road.xy - low) / CELL_M).astype(int)
    far[cells[:, 1], cells[:, 0]] = 0
    _, labels = cv2.distanceTransformWithLabels(
        far, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    lookup = np.zeros(labels.max() + 1)
    lookup[labels[cells[:, 1], cells[:, 0]]] = road.start + STEP_M * np.arange(len(cells))
    along = lookup[labels]
    x = low[0] + CELL_M * np.arange(size[0])
    y = low[1] + CELL_M * np.arange(size[1])
    points = np.stack(np.meshgrid(x, y), -1)
    for _ in range(3):
        along = np.clip(along + _along_error(road, points, along), road.start, road.end)
    yaw = np.interp(along, road.start + STEP_M * np.arange(len(road.heading)), road.heading)
    offset = points - _points(road, along)
    across = -np.sin(yaw) * offset[..., 0] + np.cos(yaw) * offset[..., 1]
    extra = np.cos(yaw) * offset[..., 0] + np.sin(yaw) * offset[..., 1]
    return GroundMap(
        (float(low[0]), float(low[1])), np.stack([along + extra, across], -1).astype(np.float32)
    )


def _points(road: Road, along: np.ndarray) -> np.ndarray:
    samples = road.start + STEP_M * np.arange(len(road.xy))
    return np.stack([np.interp(along, samples, road.xy[:, k]) for k in (0, 1)], -1)


def _along_error(road: Road, points: np.ndarray, along: np.ndarray) -> np.ndarray:
    samples = road.start + STEP_M * np.arange(len(road.xy))
    yaw = np.interp(along, samples, road.heading)
    offset = points - _points(road, along)
    return np.clip(np.cos(yaw) * offset[..., 0] + np.sin(yaw) * offset[..., 1], -4, 4)
