# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a robot may carry beside its camera: a second camera, a lidar, a segmentation network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LIDAR_RANGE_M = 80.0
LIDAR_NOISE_M = 0.02  # standard deviation of one range, as data sheets of such sensors say
LIDAR_TOP = 0.3  # share of the image's rows above the highest beam
BEAM_ASPECT = 4.0  # a spinning lidar measures this much more densely along a row than across


@dataclass(frozen=True)
class SensorsSpec:
    """The additional sensors; the defaults are none."""

    # How far to the right of the camera a second one looks the same way, 0 = none
    baseline_m: float = 0.0
    sparse_depth_share: float = 0.0  # Share of the pixels at which a lidar aims, 0 = none
    instance_masks: bool = False  # Whether moving things are marked in snippets

    @property
    def T_right_camera(self) -> np.ndarray:
        """Takes points in the camera's optical frame to the second camera's, ``(4, 4)``."""
        T = np.eye(4)
        T[0, 3] = -self.baseline_m
        return T


def lidar_returns(depth: np.ndarray, share: float, seed: int) -> np.ndarray:
    """What a lidar beside the camera measures: rows of points, a little noisy.

    Args:
        depth: ``(H, W)`` true metres, inf in the sky.
        share: Share of all pixels at which a beam aims, in (0, 1].
        seed: Of the noise and of the first row.

    Returns:
        ``(H, W)`` float32 metres, 0 = unknown.
    """
    rng = np.random.default_rng([seed, 0x11DA])
    height, width = depth.shape
    top = 0 if share > 1 - LIDAR_TOP else int(LIDAR_TOP * height)
    spacing = (height - top) / (share * height)  # pixels a beam
    columns = max(1, round(math.sqrt(spacing / BEAM_ASPECT)))
    rows = max(1, round(spacing / columns))
    measured = np.zeros((height, width), np.float32)
    aimed = (slice(top + int(rng.integers(rows)), None, rows), slice(None, None, columns))
    ranges = depth[aimed]
    noisy = ranges + rng.normal(0.0, LIDAR_NOISE_M, ranges.shape)
    measured[aimed] = np.where((ranges < LIDAR_RANGE_M) & (noisy > 0), noisy, 0.0)
    return measured
