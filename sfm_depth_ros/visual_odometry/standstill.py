# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the camera stands still."""

from __future__ import annotations

import math

import numpy as np

from sfm_depth_ros.visual_odometry.odometer_input import MeasuredMotion
from sfm_depth_ros.visual_odometry.options import OdometerOptions

_FEWEST = 15
_CERTAIN_PIXELS = 0.12  # flow that no moving camera has
_LEAST_MOTION = 0.003  # metres: an odometer that moved so far contradicts a still image
# metres that an odometer may report of a robot at rest after a tenth of a second; they add up as
# noise does, with the root of the time, where a creeping robot's add up with the time
_NOISE_AT_REST, _NOISE_S = 0.012, 0.1
_SWAY_PIXELS = 0.6  # common flow of a camera that sways at rest, at most
_SWAY_ROTATION = 1e-3  # rad, of the odometer meanwhile
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
    still = int(np.count_nonzero(distance < options.still_pixels)) / len(distance)
    if measured is None:
        return still > 0.6, ""
    angle = measured.angle
    if measured.length < _LEAST_MOTION and angle < _ROTATION:
        # things that pass in front may cover most of the image
        return still > 0.3 or (angle < _SWAY_ROTATION and _sways(flow, options)), ""
    stands = still > 0.5 or (angle < _SWAY_ROTATION and _sways(flow, options))
    noise = _NOISE_AT_REST * math.sqrt(max(measured.seconds / _NOISE_S, 1.0))
    if stands and measured.length < noise and angle < _ROTATION:
        return True, ""
    if np.count_nonzero(distance < _CERTAIN_PIXELS) > 0.7 * len(distance):
        return True, "the odometer moves, the image does not (wheel spin?)"
    return False, ""


def _sways(flow: np.ndarray, options: OdometerOptions) -> bool:
    """Whether the image moves as one by less than a pixel: a body on springs that has stopped."""
    common = np.median(flow, axis=0)
    left = flow - common
    is_one = float(np.mean(np.hypot(left[:, 0], left[:, 1]) < options.still_pixels)) > 0.5
    return is_one and math.hypot(*common) < _SWAY_PIXELS
