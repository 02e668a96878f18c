# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The values that travel between rooms: frames, velocities, snippets (numpy only)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics


@dataclass(frozen=True)
class Velocity:
    """Body velocity at one instant, in the robot's base frame (REP 103, 105)."""

    stamp_ns: int  # Time in nanoseconds
    linear: np.ndarray  # `(3,)` m/s along x (forward), y (left), z (up)
    angular: np.ndarray  # `(3,)` rad/s about the same axes


@dataclass(frozen=True)
class Frame:
    """One image as the networks see it: rectified, at the network's size."""

    stamp_ns: int  # Time of exposure in nanoseconds
    image: np.ndarray  # `(H, W, 3)` uint8, RGB
    intrinsics: Intrinsics  # Camera of exactly this image
    # `(H, W)` bool, False where the image has no source (padding, undistortion), or None where
    # every pixel has one
    valid: np.ndarray | None = None
    frame_id: str = ""  # Name of the camera's optical frame
    # `(H, W, 3)` uint8, RGB, of a second camera, rectified to the same intrinsics
    right: np.ndarray | None = None
    # `(4, 4)` float32 this camera's frame to the second one's, metres
    T_right_target: np.ndarray | None = None
    sparse_depth: np.ndarray | None = None  # `(H, W)` float32 measured metres, 0 = unknown
    # `(H, W)` uint8, which moving thing a pixel belongs to, 0 = static
    instances: np.ndarray | None = None


@dataclass(frozen=True)
class Displacement:
    """How the camera moved between two stamps, measured by the odometer."""

    # `(4, 4)` float64, pose of the later camera in the earlier one (takes points in the later
    # optical frame to the earlier one), metres
    T_earlier_later: np.ndarray

    @property
    def length(self) -> float:
        """Camera translation in metres."""
        return float(np.linalg.norm(self.T_earlier_later[:3, 3]))


@dataclass(frozen=True)
class Snippet:
    """A target image, the images before and after it, and how far the camera went.

    Sources are ordered (earlier, later).
    """

    target: np.ndarray  # `(H, W, 3)` uint8, RGB
    sources: np.ndarray  # `(2, H, W, 3)` uint8, RGB
    intrinsics: Intrinsics  # Camera of all three images
    # `(2,)` float32, measured camera translation in metres between the target and each source; NaN
    # where unknown
    displacements: np.ndarray
    stamps_ns: np.ndarray  # `(3,)` int64 of (earlier, target, later)
    valid: np.ndarray | None = None  # `(H, W)` bool, or None where every pixel is valid
    # `(H, W)` float32 metres where the truth is known (0 or inf = unknown), else None
    depth: np.ndarray | None = None
    T_source_target: np.ndarray | None = None  # `(2, 4, 4)` float32 true motion, else None
    # `(2, 4, 4)` float32 the same as the odometer measured it, else None
    T_measured: np.ndarray | None = None
    # `(H, W, 3)` uint8, RGB, of a second camera at the target's moment, rectified to the same
    # intrinsics, else None
    right: np.ndarray | None = None
    # `(4, 4)` float32 that takes points in the target's frame to the second camera's, metres (for
    # a camera b to the right: translation -b along x), else None
    T_right_target: np.ndarray | None = None
    # `(H, W)` float32 metres that a sensor measured (lidar, stereo; 0 = unknown), else None.
    # Unlike `depth` it is no truth: it may teach, it never judges.
    sparse_depth: np.ndarray | None = None
    # `(3, H, W)` uint8, which moving thing a pixel of (target, earlier, later) belongs to, 0 =
    # static, else None
    instances: np.ndarray | None = None
