# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The values that travel between rooms: frames, velocities, snippets (numpy only)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics


@dataclass(frozen=True)
class Velocity:
    """Body velocity at one instant, in the robot's base frame (REP 103, 105).

    Attributes:
        stamp_ns: Time in nanoseconds.
        linear: ``(3,)`` m/s along x (forward), y (left), z (up).
        angular: ``(3,)`` rad/s about the same axes.
    """

    stamp_ns: int
    linear: np.ndarray
    angular: np.ndarray


@dataclass(frozen=True)
class Frame:
    """One image as the networks see it: rectified, at the network's size.

    Attributes:
        stamp_ns: Time of exposure in nanoseconds.
        image: ``(H, W, 3)`` uint8, RGB.
        intrinsics: Camera of exactly this image.
        valid: ``(H, W)`` bool, False where the image has no source (padding, undistortion), or
            None where every pixel has one.
        frame_id: Name of the camera's optical frame.
        right: ``(H, W, 3)`` uint8, RGB, of a second camera, rectified to the same intrinsics.
        T_right_target: ``(4, 4)`` float32 this camera's frame to the second one's, metres.
        sparse_depth: ``(H, W)`` float32 measured metres, 0 = unknown.
        instances: ``(H, W)`` uint8, which moving thing a pixel belongs to, 0 = static.
    """

    stamp_ns: int
    image: np.ndarray
    intrinsics: Intrinsics
    valid: np.ndarray | None = None
    frame_id: str = ""
    right: np.ndarray | None = None
    T_right_target: np.ndarray | None = None
    sparse_depth: np.ndarray | None = None
    instances: np.ndarray | None = None


@dataclass(frozen=True)
class Displacement:
    """How the camera moved between two stamps, measured by the odometer.

    Attributes:
        T_earlier_later: ``(4, 4)`` float64, pose of the later camera in the earlier one (takes
            points in the later optical frame to the earlier one), metres.
    """

    T_earlier_later: np.ndarray

    @property
    def length(self) -> float:
        """Camera translation in metres."""
        return float(np.linalg.norm(self.T_earlier_later[:3, 3]))


@dataclass(frozen=True)
class Snippet:
    """A target image, the images before and after it, and how far the camera went.

    Sources are ordered (earlier, later).

    Attributes:
        target: ``(H, W, 3)`` uint8, RGB.
        sources: ``(2, H, W, 3)`` uint8, RGB.
        intrinsics: Camera of all three images.
        displacements: ``(2,)`` float32, measured camera translation in metres between the target
            and each source; NaN where unknown.
        stamps_ns: ``(3,)`` int64 of (earlier, target, later).
        valid: ``(H, W)`` bool, or None where every pixel is valid.
        depth: ``(H, W)`` float32 metres where the truth is known (0 or inf = unknown), else None.
        T_source_target: ``(2, 4, 4)`` float32 true motion, else None.
        T_measured: ``(2, 4, 4)`` float32 the same as the odometer measured it, else None.
        right: ``(H, W, 3)`` uint8, RGB, of a second camera at the target's moment, rectified to
            the same intrinsics, else None.
        T_right_target: ``(4, 4)`` float32 that takes points in the target's frame to the second
            camera's, metres (for a camera b to the right: translation -b along x), else None.
        sparse_depth: ``(H, W)`` float32 metres that a sensor measured (lidar, stereo; 0 =
            unknown), else None. Unlike ``depth`` it is no truth: it may teach, it never judges.
        instances: ``(3, H, W)`` uint8, which moving thing a pixel of (target, earlier, later)
            belongs to, 0 = static, else None.
    """

    target: np.ndarray
    sources: np.ndarray
    intrinsics: Intrinsics
    displacements: np.ndarray
    stamps_ns: np.ndarray
    valid: np.ndarray | None = None
    depth: np.ndarray | None = None
    T_source_target: np.ndarray | None = None
    T_measured: np.ndarray | None = None
    right: np.ndarray | None = None
    T_right_target: np.ndarray | None = None
    sparse_depth: np.ndarray | None = None
    instances: np.ndarray | None = None
