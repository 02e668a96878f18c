# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The values that travel between rooms: frames, velocities, snippets (numpy only)."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, get_origin, get_type_hints

import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics


@dataclass(frozen=True)
class Velocity:
    """Body velocity at one instant, in the robot's base frame (REP 103, 105)."""

    stamp_ns: int  # Time in nanoseconds
    linear: np.ndarray  # `(3,)` m/s along x (forward), y (left), z (up)
    angular: np.ndarray  # `(3,)` rad/s about the same axes


@dataclass(frozen=True, eq=False)
class TrackingImage:
    """One image as corners are followed in it: rectified, grey, at the tracking width."""

    grey: np.ndarray  # `(H, W)` uint8
    intrinsics: Intrinsics  # Camera of exactly this image
    valid: np.ndarray | None = None  # `(H, W)` bool, False where there is no source; None = all


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
    tracking: TrackingImage | None = None  # The same image for visual odometry
    # `(H, W, 3)` uint8, RGB, of a second camera, rectified to the same intrinsics
    right: np.ndarray | None = None
    # `(4, 4)` float32 this camera's frame to the second one's, metres
    T_right_target: np.ndarray | None = None
    sparse_depth: np.ndarray | None = None  # `(H, W)` float32 measured metres, 0 = unknown
    # `(H, W)` uint8, which moving thing a pixel belongs to, 0 = static
    instances: np.ndarray | None = None


@dataclass(frozen=True)
class Displacement:
    """Camera motion between two stamps, measured by the odometer."""

    # `(4, 4)` float64, pose of the later camera in the earlier one (takes points in the later
    # optical frame to the earlier one), metres
    T_earlier_later: np.ndarray

    @property
    def length(self) -> float:
        """Camera translation in metres."""
        return float(np.linalg.norm(self.T_earlier_later[:3, 3]))


@dataclass(frozen=True)
class Kind:
    """Treatment of an array that describes a snippet, from disk to objective."""

    dtype: type[np.generic]  # Of a snippet's array
    stored: type[np.generic]  # On disk: float16 keeps three digits of a depth
    unknown: float  # Stands in a batch for what one snippet lacks and another has
    mirror: str = ""  # Change when images are mirrored: "columns", "motion", or none
    # Change when a part of the image is cut out and scaled down: "mean" of what a pixel covers,
    # "all" of it valid, "nearest" value, nearest of the "points" within, or none
    window: str = ""
    metric: str = ""  # "length" in metres, "motion" with a translation in metres, or neither


#                 dtype       stored      unknown  mirror     window     metric
IMAGE = Kind(np.uint8, np.uint8, 0, "columns", "mean")
MASK = Kind(np.bool_, np.bool_, True, "columns", "all")
LABELS = Kind(np.uint8, np.uint8, 0, "columns", "nearest")
DEPTH = Kind(np.float32, np.float16, 0, "columns", "nearest", "length")
POINTS = Kind(np.float32, np.float16, 0, "columns", "points", "length")
DISPARITY = Kind(np.float32, np.float16, math.nan, "columns", "mean")  # between 0 and 1
MOTION = Kind(np.float32, np.float32, math.nan, "motion", "", "motion")
LENGTHS = Kind(np.float32, np.float32, math.nan, "", "", "length")
STAMPS = Kind(np.int64, np.int64, 0)


@dataclass(frozen=True)
class Part:
    """One array of a snippet."""

    kind: Kind
    shape: tuple[str | int, ...]  # "H" and "W" are the image's height and width


@dataclass(frozen=True)
class Snippet:
    """A target image, the images before and after it, and how far the camera went.

    Sources are ordered (earlier, later). The fields are the one table of a snippet's parts:
    batches, files, mirroring and windows all read it (:data:`PARTS`).
    """

    target: Annotated[np.ndarray, Part(IMAGE, ("H", "W", 3))]  # RGB
    sources: Annotated[np.ndarray, Part(IMAGE, (2, "H", "W", 3))]  # RGB
    intrinsics: Intrinsics  # Camera of all three images
    # Measured camera translation in metres between the target and each source; NaN where unknown
    displacements: Annotated[np.ndarray, Part(LENGTHS, (2,))]
    stamps_ns: Annotated[np.ndarray, Part(STAMPS, (3,))]  # Of (earlier, target, later)
    # None where every pixel is valid
    valid: Annotated[np.ndarray | None, Part(MASK, ("H", "W"))] = None
    # True metres where known (0 or inf = unknown), else None
    depth: Annotated[np.ndarray | None, Part(DEPTH, ("H", "W"))] = None
    # True motion, else None
    T_source_target: Annotated[np.ndarray | None, Part(MOTION, (2, 4, 4))] = None
    # The same as the odometer measured it, else None
    T_measured: Annotated[np.ndarray | None, Part(MOTION, (2, 4, 4))] = None
    # RGB of a second camera at the target's moment, rectified to the same intrinsics, else None
    right: Annotated[np.ndarray | None, Part(IMAGE, ("H", "W", 3))] = None
    # Takes points in the target's frame to the second camera's, metres (for a camera b to the
    # right: translation -b along x), else None
    T_right_target: Annotated[np.ndarray | None, Part(MOTION, (4, 4))] = None
    # Metres that a sensor measured (lidar, stereo; 0 = unknown), else None. Unlike `depth` it is
    # no truth: it may teach, it never judges.
    sparse_depth: Annotated[np.ndarray | None, Part(POINTS, ("H", "W"))] = None
    # Metres of corners triangulated over the measured motion (0 = unknown), else None
    landmarks: Annotated[np.ndarray | None, Part(POINTS, ("H", "W"))] = None
    # Inverse depth by a larger network, between 0 and 1 up to a gain and an offset (NaN =
    # unknown), else None
    teacher_disparity: Annotated[np.ndarray | None, Part(DISPARITY, ("H", "W"))] = None
    # Moving thing that a pixel of (target, earlier, later) belongs to, 0 = static, else None
    instances: Annotated[np.ndarray | None, Part(LABELS, (3, "H", "W"))] = None

    @property
    def measured_depth(self) -> np.ndarray:
        """``(H, W)`` float32 metres that a sensor measured; all 0 where none did."""
        if self.sparse_depth is None:
            return np.zeros(self.target.shape[:2], np.float32)
        return self.sparse_depth

    def with_measured_depth(self, metres: np.ndarray) -> Snippet:
        """The snippet with ``(H, W)`` metres, 0 = unknown, as if a sensor had measured them."""
        return dataclasses.replace(self, sparse_depth=metres.astype(np.float32))


PARTS: dict[str, Part] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(Snippet, include_extras=True).items()
    if get_origin(hint) is Annotated
}
# Parts that a snippet has from its target's frame
OF_TARGET = tuple(
    field.name
    for field in dataclasses.fields(Frame)
    if field.name in PARTS and field.name != "instances"
)
