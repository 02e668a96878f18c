# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Corners spread over a grid, followed from image to image by pyramidal Lucas-Kanade.

Bouguet, "Pyramidal implementation of the Lucas Kanade feature tracker" (2000); corners of Shi and
Tomasi, CVPR 1994; the forward-backward check of Kalal et al., ICPR 2010.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sfm_depth_ros.visual_odometry.median import median

# pixels compared around a corner: from a good prediction, and from afar; a surface seen at a
# slant changes its scale between two images, over a small window less
_WINDOW, _WIDE_WINDOW = (11, 11), (15, 15)
_MARGIN = 8  # pixels at the border where no corner may lie
_NEIGHBOURS = np.ones((3, 3), np.uint8)
# steps of 0.01 pixel count: a slow robot's flow is little more, and would seem as predicted
_STEPS_FINE = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.01)
_STEPS_BACK = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 5, 0.03)
_FINE_LEVELS, _ALL_LEVELS = 1, 4  # of the pyramid above the full image
_PREDICTED_SHARE = 0.4  # of the tracks that a good prediction finds, at least
# Where the last predictions were so near, the full image alone will do. From afar it finds
# whatever lies beside a wrong prediction, and motion and prediction would confirm each other.
_NEAR, _NEAR_SHARE = 1.5, 0.6  # pixels in the median, and share of the tracks found
_RELATIVE_QUALITY = 0.003  # of the strongest corner in the image
_ABSOLUTE_QUALITY = 4e-5  # smallest eigenvalue; sensor noise of 2 grey levels stays below


@dataclass(frozen=True)
class TrackerOptions:
    """Options of the tracker."""

    corners: int = 300  # tracks aimed at, one a grid cell
    strips: int = 3  # the image is searched for new corners in so many parts, one an image
    max_return_error: float = 0.5  # pixels between a corner and its track there and back


class PointTracker:
    """Follows points into the next image and finds new ones where none is left."""

    def __init__(self, options: TrackerOptions | None = None) -> None:
        self._options = options or TrackerOptions()
        self._strip = 0
        self._is_near = False  # the newest predictions were good to a pixel

    def follow(
        self, earlier: np.ndarray, later: np.ndarray, pixels: np.ndarray, guess: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Positions in the later image.

        Args:
            earlier: ``(H, W)`` uint8.
            later: ``(H, W)`` uint8.
            pixels: ``(N, 2)`` float32 in the earlier image.
            guess: ``(N, 2)`` float32 predicted positions in the later image, within some five to
                ten pixels, which spares the coarse levels; where they find too few tracks, or
                None, the search begins at the old positions.

        Returns:
            Positions ``(N, 2)`` float32, and ``(N,)`` whether each was found.
        """
        if not len(pixels):
            return pixels.copy(), np.zeros(0, bool)
        was_near, self._is_near = self._is_near, False
        if guess is not None and was_near:
            found, good = self._followed(earlier, later, pixels, guess, 0)
            self._is_near = _share(good) > _NEAR_SHARE and _missed(found, guess, good) < _NEAR
            if self._is_near:
                return found, good
        if guess is not None:
            found, good = self._followed(earlier, later, pixels, guess, _FINE_LEVELS)
            if _share(good) > _PREDICTED_SHARE:
                self._is_near = _missed(found, guess, good) < _NEAR
                return found, good
        return self._followed(earlier, later, pixels, pixels, _ALL_LEVELS)

    def _followed(
        self, earlier: np.ndarray, later: np.ndarray, pixels: np.ndarray, start: np.ndarray,
        levels: int,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        window = _WIDE_WINDOW if levels == _ALL_LEVELS else _WINDOW
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            earlier, later, pixels, start.copy(), winSize=window, maxLevel=levels,
            criteria=_STEPS_FINE, flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )  # fmt: skip
        back, returned, _ = cv2.calcOpticalFlowPyrLK(
            later, earlier, found, pixels.copy(), winSize=window, maxLevel=0,
            criteria=_STEPS_BACK, flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )  # fmt: skip
        height, width = later.shape
        good = (status[:, 0] == 1) & (returned[:, 0] == 1)
        good &= ((back - pixels) ** 2).sum(1) < self._options.max_return_error**2
        good &= (found >= _MARGIN).all(1)
        good &= (found[:, 0] < width - _MARGIN) & (found[:, 1] < height - _MARGIN)
        return found, good

    def new_corners(
        self, grey: np.ndarray, taken: np.ndarray, valid: np.ndarray | None, everywhere: bool
    ) -> np.ndarray:
        """The strongest corner of every grid cell that has none, in one strip of the image.

        Args:
            grey: ``(H, W)`` uint8.
            taken: ``(N, 2)`` pixels of the tracks that there are.
            valid: ``(H, W)`` bool, False where the image has no source.
            everywhere: Whether to search all strips at once.

        Returns:
            ``(M, 2)`` float32 pixels.
        """
        height, width = grey.shape
        cell = max(8, round(np.sqrt(width * height / self._options.corners)))
        columns = -(-width // cell)
        first, last = 0, columns
        if not everywhere:
            self._strip = (self._strip + 1) % self._options.strips
            edges = np.linspace(0, columns, self._options.strips + 1).round().astype(int)
            first, last = int(edges[self._strip]), int(edges[self._strip + 1])
        response = _corner_response(grey, first * cell, min(last * cell, width), valid)
        found = _best_per_cell(response, cell)
        found[:, 0] += first * cell
        is_taken = np.zeros((-(-height // cell), columns), bool)
        rows_columns = (taken / cell).astype(int)
        is_taken[rows_columns[:, 1], rows_columns[:, 0]] = True
        return found[~is_taken[found[:, 1] // cell, found[:, 0] // cell]].astype(np.float32)


def _share(good: np.ndarray) -> float:
    """Share of the tracks that were found."""
    return np.count_nonzero(good) / len(good)


def _missed(found: np.ndarray, guess: np.ndarray, good: np.ndarray) -> float:
    """Pixels that the predictions of the found tracks are off, the median."""
    return median(np.hypot(*(found - guess)[good].T))


def _corner_response(
    grey: np.ndarray, left: int, right: int, valid: np.ndarray | None
) -> np.ndarray:
    """Smallest eigenvalue of the structure tensor at local maxima, 0 elsewhere."""
    begin, end = max(left - 4, 0), min(right + 4, grey.shape[1])
    response = cv2.cornerMinEigenVal(grey[:, begin:end], 5)
    largest = cv2.dilate(response, _NEIGHBOURS)
    np.maximum(largest, max(_ABSOLUTE_QUALITY, _RELATIVE_QUALITY * response.max()), out=largest)
    response *= response >= largest
    if valid is not None:
        inside = cv2.erode(valid[:, begin:end].astype(np.uint8), np.ones(_WIDE_WINDOW, np.uint8))
        response[inside == 0] = 0
    response[:_MARGIN] = response[-_MARGIN:] = 0
    response = response[:, left - begin : right - begin]
    if left < _MARGIN:
        response[:, : _MARGIN - left] = 0
    if right > grey.shape[1] - _MARGIN:
        response[:, grey.shape[1] - _MARGIN - right :] = 0
    return response


def _best_per_cell(response: np.ndarray, cell: int) -> np.ndarray:
    """``(M, 2)`` int (column, row) of every cell's largest positive response."""
    rows, columns = -(-response.shape[0] // cell), -(-response.shape[1] // cell)
    padded = np.zeros((rows * cell, columns * cell), np.float32)
    padded[: response.shape[0], : response.shape[1]] = response
    cells = padded.reshape(rows, cell, columns, cell).swapaxes(1, 2).reshape(-1, cell * cell)
    best = cells.argmax(1)
    number = np.flatnonzero(cells[np.arange(len(cells)), best] > 0)
    row, column = np.divmod(best[number], cell)
    return np.stack([number % columns * cell + column, number // columns * cell + row], 1)
