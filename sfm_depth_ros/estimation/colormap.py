# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth as a picture for people: near is warm, far is dark, unknown is black."""

from __future__ import annotations

import cv2
import numpy as np


def depth_to_color(depth: np.ndarray, near: float = 2.0) -> np.ndarray:
    """Colour a depth image by its inverse depth, on a scale that does not change with time.

    The square root of ``near / depth`` is coloured, so that both a kerb at 5 m and a house at
    40 m can be told from what surrounds them.

    Args:
        depth: ``(H, W)`` metres; NaN and values <= 0 are unknown, +Inf is beyond range.
        near: Depth in metres that gets the warmest colour, as everything nearer does.

    Returns:
        ``(H, W, 3)`` uint8 RGB; the same depth has the same colour in every picture.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        known = depth > 0
        share = np.sqrt(np.clip(near / depth, 0.0, 1.0))
    index = np.where(known, 20.0 + 235.0 * share, 0.0).astype(np.uint8)
    color = cv2.cvtColor(cv2.applyColorMap(index, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    color[~known] = 0
    return color
