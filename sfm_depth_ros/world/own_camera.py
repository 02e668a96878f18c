# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rendered world through a robot's own camera, as calibration and extrinsics describe it."""

from __future__ import annotations

import math

import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import R_BASE_OPTICAL
from sfm_depth_ros.world.camera_spec import CameraSpec

LOWEST, HIGHEST = 0.15, 3.0  # metres: heights at which a base frame on the ground is believed
STEEPEST = 30.0  # degrees of pitch or roll: what the rendered world is made for


def own_camera(intrinsics: Intrinsics, T_base_camera: np.ndarray) -> CameraSpec | None:
    """A rendered camera that sees what the robot's sees.

    The base frame is taken to lie on the ground (``base_footprint`` of REP 120, and the habit of
    most ``base_link``). Where that puts the camera at no sensible height, nothing is known of it.

    Args:
        intrinsics: The network's image.
        T_base_camera: ``(4, 4)`` pose of the optical frame in the base frame, metres.

    Returns:
        The camera, or None where its height or direction cannot be as the extrinsics say.
    """
    forward, _, up = T_base_camera[:3, 3]
    R_base_body = T_base_camera[:3, :3] @ R_BASE_OPTICAL.T  # body axes of the camera
    ahead = R_base_body[:, 0]
    pitch = math.degrees(math.asin(float(np.clip(-ahead[2], -1, 1))))
    roll = math.degrees(math.atan2(R_base_body[2, 1], R_base_body[2, 2]))
    yaw = math.degrees(math.atan2(ahead[1], ahead[0]))
    if not LOWEST <= up <= HIGHEST or max(abs(pitch), abs(roll), abs(yaw)) > STEEPEST:
        return None
    width, height = intrinsics.width, intrinsics.height
    return CameraSpec(
        width=width,
        height=height,
        hfov_deg=2 * math.degrees(math.atan(0.5 * width / intrinsics.fx)),
        height_m=float(up),
        pitch_deg=pitch,
        roll_deg=roll,
        forward_m=float(forward),
        centre_px=(intrinsics.cx - (width - 1) / 2, intrinsics.cy - (height - 1) / 2),
    )
