# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rectified grey image that corners are followed in, wider than the network's."""

from __future__ import annotations

import cv2
import numpy as np

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.rectification import Rectification
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.values import TrackingImage


class TrackingView:
    """Maps images of one camera to the tracking image: rectified, whole, never enlarged."""

    def __init__(self, camera: CameraModel, width: int) -> None:
        """Lay out the tracking image.

        Args:
            camera: The camera; images must have its size.
            width: Wanted width in pixels; a narrower camera keeps its own.
        """
        whole = camera.rectified
        width = min(width, whole.width)
        self.intrinsics: Intrinsics = whole.resized(
            width, max(1, round(whole.height * width / whole.width))
        )
        self._rectification: Rectification | None = None
        if camera.is_distorted:
            self._rectification = Rectification(camera, self.intrinsics)
        valid = None if self._rectification is None else self._rectification.valid
        self.valid = None if valid is None or valid.all() else valid

    def __call__(self, image: np.ndarray) -> TrackingImage:
        """Make the tracking image of ``(H, W, 3)`` uint8 RGB as the camera sends it."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        size = self.intrinsics.width, self.intrinsics.height
        if self._rectification is not None:
            grey = self._rectification(grey)
        elif grey.shape[::-1] != size:
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        return TrackingImage(grey, self.intrinsics, self.valid)
