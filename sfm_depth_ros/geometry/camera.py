# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pinhole intrinsics as a frozen value (numpy only; the tensor functions are in pinhole.py)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.errors import DataError


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole camera of one image size.

    Pixel centres lie at integers, as OpenCV and ``sensor_msgs/CameraInfo`` have it: the image
    spans [-0.5, width - 0.5].
    """

    fx: float  # Horizontal focal length in pixels
    fy: float  # Vertical focal length in pixels
    cx: float  # Principal point's column in pixels
    cy: float  # Principal point's row in pixels
    width: int  # Image width in pixels
    height: int  # Image height in pixels

    def __post_init__(self) -> None:
        if not (math.isfinite(self.fx + self.fy) and self.fx > 0 and self.fy > 0):
            raise DataError(
                f"focal length is ({self.fx}, {self.fy}), expected positive pixels: calibrate the "
                "camera, or give camera_info_file"
            )
        if not math.isfinite(self.cx + self.cy):
            raise DataError(f"principal point is ({self.cx}, {self.cy}), expected finite pixels")
        if self.width < 1 or self.height < 1:
            raise DataError(f"image size is {self.width}x{self.height}, expected positive pixels")

    @classmethod
    def from_hfov(cls, hfov_deg: float, width: int, height: int) -> Intrinsics:
        """Square pixels and a central principal point, from the horizontal field of view."""
        focal = 0.5 * width / math.tan(math.radians(hfov_deg) / 2)
        return cls(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)

    @property
    def matrix(self) -> np.ndarray:
        """K, shape ``(3, 3)``, float64."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    def is_close(self, other: Intrinsics) -> bool:
        """Whether both are one camera, possibly refocused: within 1 % of the focal length."""
        most = 0.01 * self.fx
        pairs = zip(
            (self.fx, self.fy, self.cx, self.cy),
            (other.fx, other.fy, other.cx, other.cy),
            strict=True,
        )
        same_size = (self.width, self.height) == (other.width, other.height)
        return same_size and all(abs(own - its) <= most for own, its in pairs)

    def resized(self, width: int, height: int) -> Intrinsics:
        """The same camera after resizing the whole image to ``width`` x ``height``."""
        sx, sy = width / self.width, height / self.height
        cx, cy = (self.cx + 0.5) * sx - 0.5, (self.cy + 0.5) * sy - 0.5
        return Intrinsics(self.fx * sx, self.fy * sy, cx, cy, width, height)

    def cropped(self, left: int, top: int, width: int, height: int) -> Intrinsics:
        """The same camera after cutting (or, with negative offsets, padding) the image."""
        return Intrinsics(self.fx, self.fy, self.cx - left, self.cy - top, width, height)

    def flipped(self) -> Intrinsics:
        """The same camera after mirroring the image left to right."""
        return Intrinsics(
            self.fx, self.fy, self.width - 1 - self.cx, self.cy, self.width, self.height
        )
