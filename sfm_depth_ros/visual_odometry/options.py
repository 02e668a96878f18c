# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of the estimator."""

from __future__ import annotations

from dataclasses import dataclass, field

from sfm_depth_ros.visual_odometry.tracker import TrackerOptions


@dataclass(frozen=True)
class OdometerOptions:
    """The defaults hold for images some 640 pixels wide, 5 to 30 a second."""

    tracker: TrackerOptions = field(default_factory=TrackerOptions)
    frames: int = 6  # of the window
    free: int = 3  # newest poses of it that are refined jointly
    iterations: int = 2  # of the joint refinement, at most
    least_step: float = 0.5  # variances a degree of freedom: a smaller step ends an iteration
    max_gap_s: float = 1.0  # longest time between two images
    fewest_tracks: int = 20  # below, the image gives no motion
    least_agreement: float = 0.45  # share of tracks below which the image gives no motion
    still_pixels: float = 0.35  # flow of a standing camera, at most
    parallax_pixels: float = 2.0  # between two frames that are kept in the window
    least_length: float = 0.02  # metres, below which a motion triangulates nothing
    least_flow: float = 1.0  # pixels of parallax, the same
    least_judged: float = 0.005  # metres, below which lengths are not compared
    length_noise: float = 0.007  # of the odometer's length, relative
    pixel_noise: float = 0.2  # of a track, floor: neighbours err together
    inflation_by_flow: float = 0.6  # 1/pixel: errors of neighbours, see SlidingWindow.inflation
    rotation_floor: float = 2e-4  # rad, standard deviation that no motion is better than
    translation_floor: float = 0.002  # of the length, the same
