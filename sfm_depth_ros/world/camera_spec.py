# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rendered camera: its optics, where it sits, the rays of its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import R_BASE_OPTICAL
from sfm_depth_ros.world.trajectory import rotation_from_euler
from sfm_depth_ros.world.visibility import RayGrid


@dataclass(frozen=True)
class CameraSpec:
    """A camera on a robot."""

    width: int  # Pixels
    height: int  # Pixels
    hfov_deg: float  # Horizontal field of view of the undistorted image
    height_m: float  # Above the ground
    pitch_deg: float  # Positive looks down
    roll_deg: float = 0.0  # Positive leans to the right
    forward_m: float = 0.0  # Offset from `base_link` along x
    distortion: tuple[float, ...] = ()  # `plumb_bob` (k1, k2, p1, p2, k3), or empty
    # Offset of the principal point from the image centre
    centre_px: tuple[float, float] = (0.0, 0.0)
    yaw_deg: float = 0.0  # Positive looks to the left

    @property
    def intrinsics(self) -> Intrinsics:
        """K of the image as it is delivered (before undistortion)."""
        plain = Intrinsics.from_hfov(self.hfov_deg, self.width, self.height)
        cx, cy = plain.cx + self.centre_px[0], plain.cy + self.centre_px[1]
        return Intrinsics(plain.fx, plain.fy, cx, cy, self.width, self.height)

    @property
    def T_base_camera(self) -> np.ndarray:
        """Pose of the optical frame in ``base_link``, ``(4, 4)`` float64."""
        T = np.eye(4)
        angles = (math.radians(deg) for deg in (self.roll_deg, self.pitch_deg, self.yaw_deg))
        T[:3, :3] = rotation_from_euler(*angles) @ R_BASE_OPTICAL
        T[:3, 3] = self.forward_m, 0.0, self.height_m
        return T


def ray_grid(camera: CameraSpec) -> RayGrid:
    """Rays of every pixel; a distorted lens is inverted by fixed-point iteration."""
    K = camera.intrinsics
    x = (np.arange(camera.width)[None] - K.cx) / K.fx + np.zeros((camera.height, 1))
    y = (np.arange(camera.height)[:, None] - K.cy) / K.fy + np.zeros((1, camera.width))
    if camera.distortion:
        x, y = undistort(x, y, camera.distortion)
    return RayGrid.from_coordinates(
        torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y.astype(np.float32))
    )


def undistort(
    x: np.ndarray, y: np.ndarray, coefficients: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of ``plumb_bob`` (Brown-Conrady, as in OpenCV and sensor_msgs/CameraInfo)."""
    k1, k2, p1, p2, k3 = (*coefficients, 0.0, 0.0, 0.0, 0.0, 0.0)[:5]
    u, v = x.copy(), y.copy()
    for _ in range(60):
        r2 = u * u + v * v
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        du = 2 * p1 * u * v + p2 * (r2 + 2 * u * u)
        dv = p1 * (r2 + 2 * v * v) + 2 * p2 * u * v
        u, v = (x - du) / radial, (y - dv) / radial
    return u, v


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
        The camera, or None where its height or direction cannot be that of the extrinsics.
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
