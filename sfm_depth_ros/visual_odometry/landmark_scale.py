# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scale monitor on landmarks: depth_scale_ratio of the newest minute, with its interval.

Corners crowd where texture is, while the ratio is that of all pixels: each landmark weighs as much
as the area that it stands for. The interval is a delete-a-group jackknife over tracks (Kott 2001),
so that a track that is seen in many images counts once. Wheels that slip lengthen every landmark's
depth and the camera's height above the floor alike: the height shows the slip, and takes it out.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.visual_odometry.anchor_points import AnchorPoints
from sfm_depth_ros.visual_odometry.depth_correction import robust_spread
from sfm_depth_ros.visual_odometry.median import column_medians

WINDOW_S = 60.0
_BLOCK_S = 1.0  # images of so long are one sample of the window
_MIN_BLOCKS = 3
_MIN_CELLS = 8
_MAX_RELATIVE_STD = 0.3  # of a landmark's inverse depth
_GROUPS = 6
_STUDENT_90 = 2.015  # two-sided 90 %, _GROUPS - 1 degrees of freedom
_SYSTEMATIC = 0.005  # relative: the odometer's own scale, pixels that never hold a landmark
# share of the blocks' own change that landmarks and all pixels do not have in common
_UNSEEN = 0.5
_STEADY_FLOOR = 0.1  # relative; a floor that varies more is none
_TUNING = 2.0  # blocks of so many spreads from the middle weigh a quarter
_SMALLEST_SPREAD = 0.03
_NORMAL_MAD = 1.4826
_STEPS = 10  # at most
_PRECISE = 1e-4  # relative change of a mean that ends its search


@dataclass(frozen=True)
class ScaleEstimate:
    """depth_scale_ratio of a window of time, as landmarks show it."""

    ratio: float  # predicted over true depth; above 1 = predicted too large
    low: float  # lower end of the 90 % interval
    high: float  # upper end
    seconds: float  # driven time that it rests on


@dataclass(frozen=True, eq=False)
class _Sample:
    """One image, or the medians of a second's images."""

    stamp_ns: int  # of the image, or of the first one
    log_ratios: np.ndarray  # (1 + groups,) of all landmarks, and without each group
    log_height: float  # of the camera above the floor, NaN where no floor is seen


class LandmarkScaleMonitor:
    """Remembers the ratio of each second, and summarises the newest ones robustly.

    Seconds in which the ratio is far from the others hardly count.

    Args:
        window_s: Driven seconds that count.
    """

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_ns = int(window_s * 1e9)
        self._blocks: deque[_Sample] = deque()  # medians of whole seconds
        self._images: list[_Sample] = []  # of the second that has begun

    def clear(self) -> None:
        """Forget everything (another model, a jump in time)."""
        self._blocks.clear()
        self._images.clear()

    def add(
        self,
        stamp_ns: int,
        points: AnchorPoints,
        floor_height: float | None = None,
    ) -> None:
        """Take the landmarks of one image in which the camera moves.

        Args:
            stamp_ns: Of the image.
            points: Landmarks beside the network's inverse output in 1/m.
            floor_height: Metres of the camera above the floor by the same landmarks (see
                ``ground_of_landmarks``); a few a second are enough.
        """
        ratios = _image_ratios(points)
        if ratios is None:
            return
        if self._images and stamp_ns < self._images[-1].stamp_ns:
            self.clear()
        if self._images and stamp_ns - self._images[0].stamp_ns >= _BLOCK_S * 1e9:
            self._blocks.append(_summary(self._images))
            self._images = []
        height = math.nan if floor_height is None else math.log(floor_height)
        self._images.append(_Sample(stamp_ns, ratios, height))
        while self._blocks and stamp_ns - self._blocks[0].stamp_ns > self._window_ns:
            self._blocks.popleft()

    @property
    def estimate(self) -> ScaleEstimate | None:
        """The window's ratio, or None before there are three seconds of it."""
        blocks = [*self._blocks, _summary(self._images)] if self._images else []
        if len(blocks) < _MIN_BLOCKS:
            return None
        slip = _slip(np.array([block.log_height for block in blocks]))
        ratios = np.array([block.log_ratios for block in blocks]) + slip[:, None]
        values = _robust_mean(ratios)
        groups = values[1:]
        variance = (_GROUPS - 1) / _GROUPS * float(np.sum((groups - groups.mean()) ** 2))
        change = float(np.var(np.diff(ratios[:, 0]))) / 2
        variance += _UNSEEN * change / len(blocks)
        half = _STUDENT_90 * math.sqrt(variance + _SYSTEMATIC**2)
        middle = float(values[0])
        ends = math.exp(middle - half), math.exp(middle + half)
        return ScaleEstimate(math.exp(middle), *ends, len(blocks) * _BLOCK_S)


def _summary(images: list[_Sample]) -> _Sample:
    """Medians of the images of one second."""
    ratios = column_medians(np.array([image.log_ratios for image in images]))
    heights = [image.log_height for image in images if math.isfinite(image.log_height)]
    height = float(np.median(heights)) if heights else math.nan
    return _Sample(images[0].stamp_ns, ratios, height)


def _slip(log_heights: np.ndarray) -> np.ndarray:
    """Log of the odometer's length over its usual one in each block, by the floor; 0 = unknown."""
    known = np.isfinite(log_heights)
    slip = np.zeros(len(log_heights))
    if np.count_nonzero(known) < _MIN_BLOCKS:
        return slip
    slip[known] = log_heights[known] - np.median(log_heights[known])
    is_steady = robust_spread(slip[known]) < _STEADY_FLOOR
    return slip if is_steady else np.zeros(len(slip))


def _image_ratios(points: AnchorPoints) -> np.ndarray | None:
    """Log ratio of one image by all landmarks, and without each group of tracks."""
    certain = points.relative_std < _MAX_RELATIVE_STD
    cells, group = points.cells[certain], points.ids[certain] % _GROUPS
    # (cells, groups) landmarks
    size = (cells.max() + 1) * _GROUPS if len(cells) else 0
    counts = np.bincount(cells * _GROUPS + group, minlength=size).reshape(-1, _GROUPS)
    in_cell, in_group = counts.sum(axis=1), counts.sum(axis=0)
    if np.count_nonzero(in_cell) < _MIN_CELLS or in_group.max() == len(cells):
        return None
    log_ratio = np.log(points.inverse_depth[certain] / points.output[certain])
    order = np.argsort(log_ratio)
    cells, group = cells[order], group[order]
    # (1 + groups, N) landmarks that share a cell's weight, each time without one group
    sharing = np.stack((in_cell[cells], *(in_cell[:, None] - counts).T[:, cells]))
    chosen = np.ones(sharing.shape, bool)
    chosen[1:] = group != np.arange(_GROUPS)[:, None]
    share = np.cumsum(chosen / np.maximum(sharing, 1), axis=1)
    middle = np.count_nonzero(share < 0.5 * share[:, -1:], axis=1)
    return np.asarray(log_ratio[order][middle])


def _robust_mean(blocks: np.ndarray) -> np.ndarray:
    """Geman-McClure mean of each column, begun at its median."""
    middle = column_medians(blocks)
    spread = _NORMAL_MAD * column_medians(np.abs(blocks - middle))
    squared_scale = (_TUNING * np.maximum(spread, _SMALLEST_SPREAD)) ** 2
    for _ in range(_STEPS):
        weights = (1.0 + (blocks - middle) ** 2 / squared_scale) ** -2
        before, middle = middle, (weights * blocks).sum(axis=0) / weights.sum(axis=0)
        if np.abs(middle - before).max() < _PRECISE:
            break
    return np.asarray(middle)
