# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The filter that published models were trained with: Lanczos of three lobes, antialiased.

Shrinking stretches the filter over what each pixel covers, and columns come before rows with
rounding to bytes in between: as Pillow does it, by which both published projects scale.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

LOBES = 3


def lanczos(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale an image.

    Args:
        image: ``(H, W, C)`` uint8.
        size: (width, height) wanted.

    Returns:
        ``(height, width, C)`` uint8, a copy.
    """
    columns = _scaled_rows(np.ascontiguousarray(image.swapaxes(0, 1)), size[0])
    return _scaled_rows(np.ascontiguousarray(columns.swapaxes(0, 1)), size[1])


def _scaled_rows(image: np.ndarray, count: int) -> np.ndarray:
    """``(H, W, C)`` uint8 to ``(count, W, C)``."""
    places, weights = _taps(len(image), count)
    flat = image.reshape(len(image), -1).astype(np.float32)
    answer = np.empty((count, flat.shape[1]), np.float32)
    for row, (first, taps) in enumerate(zip(places, weights, strict=True)):
        np.matmul(taps, flat[first : first + len(taps)], out=answer[row])
    np.clip(answer, 0.0, 255.0, out=answer)
    return np.rint(answer, out=answer).astype(np.uint8).reshape(count, *image.shape[1:])


@lru_cache(maxsize=16)
def _taps(before: int, after: int) -> tuple[list[int], list[np.ndarray]]:
    """First pixel and weights ``(taps,)`` of every pixel of the scaled line."""
    stretch = max(before / after, 1.0)
    centres = (np.arange(after) + 0.5) * before / after
    firsts = np.maximum((centres - LOBES * stretch + 0.5).astype(int), 0)
    ends = np.minimum((centres + LOBES * stretch + 0.5).astype(int), before)
    weights = []
    for centre, first, end in zip(centres, firsts, ends, strict=True):
        x = (np.arange(first, end) + 0.5 - centre) / stretch
        taps = np.where(np.abs(x) < LOBES, np.sinc(x) * np.sinc(x / LOBES), 0.0)
        weights.append((taps / taps.sum()).astype(np.float32))
    return firsts.tolist(), weights
