# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Corners followed from one image to the next, kept only where tracking back agrees."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_WINDOW = (11, 11)  # pixels that must look alike around a corner
_DETECTION_WIDTH = 400  # a wider image is searched for corners at half its size, 4 times as fast
_MAX_RETURN_ERROR = 0.5  # pixels between a corner and where tracking back ends
_FLOW_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01)


@dataclass(frozen=True)
class Tracks:
    """Positions of the same corners in two images."""

    earlier: np.ndarray  # `(N, 2)` float64 pixels (column, row)
    later: np.ndarray  # `(N, 2)` float64 pixels

    def __len__(self) -> int:
        return len(self.earlier)


def track_corners(
    earlier: np.ndarray,
    later: np.ndarray,
    mask: np.ndarray | None = None,
    max_corners: int = 150,
) -> Tracks:
    """Follow corners by pyramidal Lucas-Kanade, forwards and back.

    Args:
        earlier: ``(H, W)`` uint8 grey image.
        later: ``(H, W)`` uint8 grey image of the same camera.
        mask: ``(H, W)`` uint8, 0 where no corner may lie in the earlier image.
        max_corners: How many corners are followed.
    """
    start = _corners(earlier, mask, max_corners)
    end, kept = follow(earlier, later, start)
    return Tracks(start[kept].astype(np.float64), end[kept])


def follow(
    first: np.ndarray, second: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Follow points by pyramidal Lucas-Kanade, forwards and back.

    Args:
        first: ``(H, W)`` uint8 grey image.
        second: ``(H, W)`` uint8 grey image of the same camera.
        points: ``(N, 2)`` pixels (column, row) in the first image.

    Returns:
        ``(N, 2)`` float64 pixels in the second image, and ``(N,)`` bool: whether tracking back
        ends where it began.
    """
    if len(points) == 0:
        return np.zeros((0, 2)), np.zeros(0, bool)
    start = points.astype(np.float32).reshape(-1, 1, 2)
    end, found = _flow(first, second, start)
    back, found_back = _flow(second, first, end)
    error = np.linalg.norm((back - start).reshape(-1, 2), axis=1)
    kept = found & found_back & (error < _MAX_RETURN_ERROR)
    return end.reshape(-1, 2).astype(np.float64), kept


def _corners(image: np.ndarray, mask: np.ndarray | None, count: int) -> np.ndarray:
    """``(N, 2)`` float32 pixels, spread over the image."""
    if image.shape[1] > _DETECTION_WIDTH:
        size = image.shape[1] // 2, image.shape[0] // 2
        half_mask = None if mask is None else cv2.resize(mask, size, None, 0, 0, cv2.INTER_NEAREST)
        half = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return (_corners(half, half_mask, count) + 0.5) * 2.0 - 0.5
    spacing = max(4.0, 0.5 * (image.size / count) ** 0.5)
    corners = cv2.goodFeaturesToTrack(image, count, 0.005, spacing, mask=mask)
    return np.zeros((0, 2), np.float32) if corners is None else corners.reshape(-1, 2)


def _flow(
    first: np.ndarray, second: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    end = np.empty_like(points)
    end, status, _ = cv2.calcOpticalFlowPyrLK(
        first, second, points, end, winSize=_WINDOW, maxLevel=3, criteria=_FLOW_CRITERIA
    )
    return end, status.ravel().astype(bool)
