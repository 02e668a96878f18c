# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tileable noise with the amplitude spectrum of natural images (1/f, Field 1987)."""

from __future__ import annotations

import cv2
import numpy as np

Generator = np.random.Generator


def noise(
    rng: Generator, slope: float, size: int = 256, stretch: tuple[float, float] = (1.0, 1.0)
) -> np.ndarray:
    """Gaussian noise of amplitude 1/f^slope.

    Args:
        rng: Source of randomness.
        slope: 0 = white, 1 = natural images, 2 = clouds.
        size: Side of the square in texels.
        stretch: How much longer structures are (vertically, horizontally).

    Returns:
        ``(size, size)`` float32 of mean 0 and standard deviation 1, tileable.
    """
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)).astype(np.float32))
    fy = np.fft.fftfreq(size)[:, None] * size * stretch[0]
    fx = np.fft.rfftfreq(size)[None] * size * stretch[1]
    radius = np.hypot(fx, fy)
    radius[0, 0] = np.inf
    field = np.fft.irfft2(spectrum / radius**slope, s=(size, size))
    return (field / field.std()).astype(np.float32)


def coloured(rng: Generator, value: np.ndarray, spread: float) -> np.ndarray:
    """Grey ``(H, W)`` to ``(H, W, 3)`` of one random, weak hue."""
    return np.clip(value, 0, 1)[..., None] * (1 + rng.normal(0, spread, 3))


def spots(rng: Generator, count: int, smallest: int, largest: int) -> np.ndarray:
    """Random bright and dark discs, ``(256, 256)`` float32 in [-1, 1], tileable."""
    canvas = np.zeros((256 + 32, 256 + 32), np.float32)
    for x, y, r, value in zip(
        rng.integers(0, 288, count),
        rng.integers(0, 288, count),
        rng.integers(smallest, largest + 1, count),
        rng.uniform(-1, 1, count),
        strict=True,
    ):
        cv2.circle(canvas, (int(x), int(y)), int(r), float(value), -1)
    return canvas[16:272, 16:272]
