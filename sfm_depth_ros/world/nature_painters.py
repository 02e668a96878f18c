# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiles with the contrast of sunlit things: leaves before dark gaps, stone, patched asphalt."""

from __future__ import annotations

import cv2
import numpy as np

from sfm_depth_ros.world.noise import Generator, coloured, noise, spots


def foliage(rng: Generator) -> np.ndarray:
    """Sunlit leaves and deep gaps, clumped at every size."""
    rough = 0.6 * noise(rng, 0.6) + 0.8 * noise(rng, 1.2)
    value = rng.uniform(0.28, 0.4) + 0.13 * rough + 0.12 * spots(rng, 2500, 1, 4)
    gaps = np.clip(1.2 + 1.4 * noise(rng, 0.9), 0.15, 1.0)
    hue = np.array([0.88, 1.08, 0.6]) + rng.normal(0, 0.09, 3)
    yellow = np.clip(noise(rng, 1.6), 0, 1)[..., None] * rng.uniform(0, 0.25)
    colour = hue * (1 - yellow) + yellow * np.array([1.3, 1.1, 0.5])
    return np.clip(value * gaps, 0.03, 1)[..., None] * colour


def stone(rng: Generator) -> np.ndarray:
    """A wall of cut or natural stones, each of its own tone."""
    tone = rng.uniform(0.35, 0.6)
    image = np.full((256, 256), tone * 0.55, np.float32)
    rows = int(rng.integers(6, 12))
    tall = 256 // rows
    for row in range(rows):
        x = -int(rng.integers(0, 40))
        while x < 256:
            wide = int(rng.integers(18, 60))
            corner = (max(x + 1, 0), row * tall + 1)
            opposite = (min(x + wide - 2, 255), (row + 1) * tall - 2)
            shade = float(tone + rng.normal(0, 0.09))
            cv2.rectangle(image, corner, opposite, shade, -1)
            x += wide
    return coloured(rng, image + 0.05 * noise(rng, 0.5) + 0.03 * noise(rng, 1.5), 0.06)


def patched_asphalt(rng: Generator) -> np.ndarray:
    """A road with mended patches, tar seams, a drain, worn wheel tracks."""
    value = rng.uniform(0.32, 0.55) + 0.05 * noise(rng, 0.4) + 0.06 * noise(rng, 1.3)
    x = np.arange(256)
    tracks = np.cos(4 * np.pi * x / 256)[None] * rng.uniform(-0.05, 0.05)
    value = value + tracks
    for _ in range(int(rng.integers(0, 5))):
        left, top = rng.integers(0, 220, 2)
        wide, tall = rng.integers(15, 110, 2)
        value[top : top + tall, left : left + wide] *= rng.uniform(0.65, 1.15)
    canvas = np.zeros((256, 256), np.float32)
    for _ in range(int(rng.integers(1, 6))):
        points = rng.normal(0, 9, (30, 2)).cumsum(0) + rng.uniform(0, 256, 2)
        line = points.astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(canvas, [line], False, 1.0, int(rng.integers(1, 4)), cv2.LINE_AA)
    value = value * (1 - 0.55 * canvas)
    if rng.random() < 0.5:
        centre = tuple(int(v) for v in rng.integers(20, 230, 2))
        cv2.circle(value, centre, 9, 0.18, -1, cv2.LINE_AA)
    return coloured(rng, value, 0.03)


PAINTERS = {
    "foliage_a": (foliage, (2.2, 2.2)),
    "foliage_b": (foliage, (4.5, 4.5)),
    "stone": (stone, (3.0, 2.5)),
    "patched": (patched_asphalt, (8.0, 8.0)),
}
