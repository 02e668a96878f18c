# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gate for images: black, overexposed, covered, frozen or untrackable ones teach nothing.

Photometric self-supervision compares neighbouring images, so an image is usable if corners of the
one before can be followed into it. Noise, a cut, a dirty or covered lens and strong blur fail that
test whatever their statistics are.
"""

from __future__ import annotations

import cv2
import numpy as np

IMAGE_REASONS = ("black", "overexposed", "covered", "frozen", "untrackable")

_WIDTH = 320  # pixels that the gate looks at
_DARK, _BRIGHT = 12, 250  # grey levels of 255
_BRIGHT_SHARE = 0.6  # of the pixels: the sky alone is less
_SMALLEST_CONTRAST = 4.0  # grey levels, standard deviation after smoothing away sensor noise
_SAME = 0.05  # grey levels between two images of a camera that stands still: noise alone is more
_CORNERS = 120
_FEWEST_CORNERS = 12
_FOLLOWED_SHARE = 0.25  # of the corners; successive images of a drive are above 0.6
_RETURN_ERROR = 0.5  # pixels between a corner and where tracking back ends


class ImageGate:
    """Compares each image with the one before.

    Not thread-safe. The first image after :meth:`reset` is judged by its statistics alone.
    """

    def __init__(self) -> None:
        self._previous: np.ndarray | None = None
        self.counts = dict.fromkeys(IMAGE_REASONS, 0)

    def refusal(self, image: np.ndarray, moved: bool) -> str:
        """Reason of ``IMAGE_REASONS`` why an image is unusable, or an empty string.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            moved: Whether the odometer reports motion since the image before.
        """
        grey = _shrunk(image)
        previous, self._previous = self._previous, grey
        reason = _by_statistics(grey)
        if not reason and previous is not None and previous.shape == grey.shape:
            reason = _by_comparison(previous, grey, moved)
        if reason:
            self.counts[reason] += 1
        return reason

    def reset(self) -> None:
        """Forget the image before (time jumped, another camera); counts stay."""
        self._previous = None


def _shrunk(image: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    if width <= _WIDTH:
        return grey
    size = (_WIDTH, max(1, round(height * _WIDTH / width)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def _by_statistics(grey: np.ndarray) -> str:
    if np.percentile(grey, 95) < _DARK:
        return "black"
    if np.mean(grey >= _BRIGHT) > _BRIGHT_SHARE:
        return "overexposed"
    return "covered" if cv2.blur(grey, (5, 5)).std() < _SMALLEST_CONTRAST else ""


def _by_comparison(previous: np.ndarray, grey: np.ndarray, moved: bool) -> str:
    if moved and np.mean(cv2.absdiff(previous, grey)) < _SAME:
        return "frozen"
    return "" if _followed_share(previous, grey) >= _FOLLOWED_SHARE else "untrackable"


def _followed_share(previous: np.ndarray, grey: np.ndarray) -> float:
    """Share of corners that Lucas-Kanade follows there and back; 0 where there are too few."""
    smooth = cv2.GaussianBlur(previous, (3, 3), 0)
    corners = cv2.goodFeaturesToTrack(smooth, _CORNERS, 0.01, 6)
    if corners is None or len(corners) < _FEWEST_CORNERS:
        return 0.0
    there, found = _flow(previous, grey, corners)
    back, found_back = _flow(grey, previous, there)
    error = np.linalg.norm((back - corners).reshape(-1, 2), axis=1)
    kept = (found.ravel() == 1) & (found_back.ravel() == 1) & (error < _RETURN_ERROR)
    return float(kept.mean())


def _flow(
    first: np.ndarray, second: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """``(N, 1, 2)`` places of points in the second image, and ``(N, 1)`` whether found."""
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        first, second, points, np.empty_like(points), winSize=(15, 15), maxLevel=4
    )
    return there, found
