# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mounting of a camera on the robot: whether its images are upright and its place is possible."""

from __future__ import annotations

import math

import numpy as np

FARTHEST = 100.0  # metres from the base's origin
SLANTED_DEG = 45.0  # about the optical axis; networks know upright images
_VERTICAL = 0.9  # a camera that looks nearly up or down has no upright image


def image_roll(T_base_camera: np.ndarray) -> float | None:
    """Degrees by which images are rotated, clockwise positive, against the base's z axis.

    0 = upright, 180 = upside down; None where the camera looks nearly up or down.

    Args:
        T_base_camera: ``(4, 4)`` pose of the optical frame (z forward, y down) in the base.
    """
    up_x, up_y, forward = T_base_camera[2, :3]  # the base's z axis in the optical frame
    if abs(forward) > _VERTICAL:
        return None
    return math.degrees(math.atan2(up_x, -up_y))


def mounting_fault(T_base_camera: np.ndarray) -> str:
    """What cannot be right about a mounting, with the remedy; "" = nothing."""
    distance = float(np.linalg.norm(T_base_camera[:3, 3]))
    if distance > FARTHEST:
        return (
            f"the camera is {distance:.4g} m from the base, as if TF or base_to_camera were in "
            "millimetres; give metres (REP 103)"
        )
    return tilt_fault(T_base_camera)


def tilt_fault(T_base_camera: np.ndarray) -> str:
    """Remark on a camera whose images are not upright, with the remedy; "" = they are."""
    roll = image_roll(T_base_camera)
    if roll is None or abs(roll) < SLANTED_DEG:
        return ""
    how = "upside down" if abs(roll) > 180 - SLANTED_DEG else "on its side"
    return (
        f"the camera is mounted {how} (rotated by {roll:.0f} degrees): networks know upright "
        "images, depth comes out wrong; have the driver or image_rotate rotate the images, with "
        "their camera_info and frame, or correct the transform if the camera is upright"
    )
