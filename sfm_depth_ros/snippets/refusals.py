# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Remedies for refused frames and velocities, by the reason that is counted, live and offline."""

from __future__ import annotations

from collections.abc import Mapping

REMEDIES = {
    "standing": "the camera must move by min_displacement within max_image_gap: drive, or lower "
    "the one, or raise the other for a slow robot; if it did drive, its odometry's twist is not "
    "filled (sfm-depth doctor)",
    "too_far": "the camera moves farther than max_displacement between images: record more images "
    "a second or drive slower, or raise it",
    "image_gap": "images are farther apart in time than max_image_gap: look for lost images, or "
    "raise it",
    "velocity": "odometry must cover the images: look at its rate and at whether its stamps are "
    "of the images' clock, or raise max_velocity_gap",
    "backward": "stamps of the images fall: look at the driver and at clocks that are set",
    "duplicate": "images repeat a stamp: look at the driver, and for a second publisher",
    "camera": "camera_info changes by more than autofocus does: fix the zoom, and look for a "
    "second camera on the topic",
    "black": "images are black: look at the lens cap and at the exposure",
    "overexposed": "images are white: look at the exposure",
    "covered": "images have no contrast: look for a covered or dirty lens",
    "frozen": "the image stands still while the robot drives: look at the camera driver",
    "untrackable": "no corner can be followed from image to image: look for blur, noise and a "
    "dirty lens",
    "not_finite": "velocities are NaN or infinite: look at the odometry's publisher",
    "acceleration": "velocities jump as no robot can: look at the odometry's publisher",
    "too_fast": "velocities are too high: expected are m/s and rad/s",
}


def main_refusal(counts: Mapping[str, int]) -> str:
    """The reason that was counted most, with its remedy; "" where nothing was refused."""
    reason = max(counts, key=lambda name: counts[name], default="")
    if not reason or not counts[reason]:
        return ""
    return f"most often {reason}: {REMEDIES[reason]}" if reason in REMEDIES else reason
