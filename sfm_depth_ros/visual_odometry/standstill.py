# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the camera stands still."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.visual_odometry.odometer_input import MeasuredMotion
from sfm_depth_ros.visual_odometry.options import OdometerOptions

_FEWEST = 15
_CERTAIN_PIXELS = 0.12  # flow that no moving camera has
_LEAST_MOTION = 0.003  # metres: an odometer that moved so far contradicts a still image
_NOISE_AT_REST = 0.012  # metres an image that an odometer may report of a robot at rest
_ROTATION = 5e-3  # rad, the same; the flow itself shows less


def is_standing(
    flow: np.ndarray, measured: MeasuredMotion | None, options: OdometerOptions
) -> tuple[bool, str]:
    """Compare the newest image with the last one before the camera stopped.

    Args:
        flow: ``(N, 2)`` pixels of every track.
        measured: The odometer's motion between the same images.
        options: Of the estimator.

    Returns:
        Whether the camera stands, and a remark where the odometer contradicts.
    """
    if len(flow) < _FEWEST:
        return False, ""
    distance = np.hypot(flow[:, 0], flow[:, 1])
    still = float(np.mean(distance < options.still_pixels))
    if measured is None:
        return still > 0.6, ""
    turned = np.arccos(np.clip((np.trace(measured.T_earlier_later[:3, :3]) - 1) / 2, -1, 1))
    if measured.length < _LEAST_MOTION and turned < _ROTATION:
        # things that pass in front may cover most of the image
        return still > 0.3, ""
    if measured.length < _NOISE_AT_REST and turned < _ROTATION and still > 0.5:
        return True, ""
    if np.mean(distance < _CERTAIN_PIXELS) > 0.7:
        return True, "the odometer moves, the image does not (wheel spin?)"
    return False, ""
