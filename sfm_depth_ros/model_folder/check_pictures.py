# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures by formula, on which a model's networks are compared with its engines."""

from __future__ import annotations

import numpy as np


def natural_pictures(width: int, height: int) -> np.ndarray:
    """Two pictures with the spectrum of natural images (1/f).

    Args:
        width: Width in pixels.
        height: Height in pixels.

    Returns:
        ``(2, 3, height, width)`` float32 in [0, 1], always the same.
    """
    noise = np.random.default_rng(0).standard_normal((2, 3, height, width))
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    amplitude = 1.0 / np.maximum(np.hypot(rows, columns), 1.0 / width)
    picture = np.fft.irfft2(np.fft.rfft2(noise) * amplitude, s=(height, width))
    low = picture.min(axis=(2, 3), keepdims=True)
    picture = (picture - low) / (picture.max(axis=(2, 3), keepdims=True) - low)
    return np.asarray(picture, np.float32)
