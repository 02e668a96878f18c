# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Undistort, rotate and scale an image in one remap, and say which pixels have a source."""

from __future__ import annotations

import cv2
import numpy as np

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.distortion import undistort_map
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics


class Rectification:
    """The map from one distorted camera to one rectified pinhole image."""

    def __init__(self, camera: CameraModel, destination: Intrinsics) -> None:
        """Compute the map.

        Args:
            camera: The camera as it sends images.
            destination: Pinhole of the wanted image, in the rectified camera's orientation.
        """
        self._camera = camera
        self._destination = destination
        self._x, self._y = _map(camera, destination)
        self.valid = _inside(camera, self._x, self._y)
        # whole factors are several times faster than others; the remap does the rest, below two
        self._factor = max(1, int(camera.K[0, 0] / destination.fx))
        self._maps = cv2.convertMaps(
            (self._x + np.float32(0.5)) / np.float32(self._factor) - np.float32(0.5),
            (self._y + np.float32(0.5)) / np.float32(self._factor) - np.float32(0.5),
            cv2.CV_16SC2,
        )

    @staticmethod
    def sourced_area(camera: CameraModel) -> tuple[int, int, int, int]:
        """Part of the rectified image of the camera's size that has a source.

        P may describe a smaller image than width x height; border rows and columns of which less
        than half has a source are left out.

        Returns:
            (left, top, right, bottom) in pixels.
        """
        valid = _inside(camera, *_map(camera, camera.rectified))
        rows = np.flatnonzero(valid.sum(axis=1) >= 0.5 * valid.any(0).sum())
        columns = np.flatnonzero(valid.sum(axis=0) >= 0.5 * valid.any(1).sum())
        if not rows.size or not columns.size:
            raise DataError(
                "the rectified image of this camera_info shows nothing of the camera's image: K, "
                "D, R and P do not belong together; calibrate the camera again"
            )
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Rectify ``(H, W, 3)`` uint8 to the destination's ``(h, w, 3)``."""
        if self._factor > 1:
            width, height = self._camera.width // self._factor, self._camera.height // self._factor
            whole = image[: height * self._factor, : width * self._factor]
            image = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
        x, y = self._maps
        return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def sample_depth(self, depth: np.ndarray) -> np.ndarray:
        """Nearest depth of ``(H, W)`` metres, turned to the rectified axis; 0 = unknown."""
        sampled = self.sample(depth) * self._axis_factor()
        known = np.isfinite(sampled) & (sampled > 0)
        return np.where(known, sampled, 0).astype(np.float32)

    def sample(self, values: np.ndarray) -> np.ndarray:
        """Nearest of the camera's ``(H, W)`` at each of the destination's pixels; 0 outside."""
        columns = np.clip(np.round(self._x), 0, self._camera.width - 1).astype(np.int64)
        rows = np.clip(np.round(self._y), 0, self._camera.height - 1).astype(np.int64)
        return np.where(self.valid, values[rows, columns], values.dtype.type(0))

    def _axis_factor(self) -> np.ndarray:
        """Depth along the rectified axis over depth along the camera's, per pixel."""
        K = self._destination
        x = (np.arange(K.width) - K.cx) / K.fx
        y = (np.arange(K.height) - K.cy) / K.fy
        R = self._camera.R
        return 1.0 / (R[0, 2] * x[None, :] + R[1, 2] * y[:, None] + R[2, 2])


def _map(camera: CameraModel, destination: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    return undistort_map(
        camera.K,
        camera.D,
        camera.model,
        camera.R,
        destination.matrix,
        (camera.width, camera.height),
        (destination.width, destination.height),
    )


def _inside(camera: CameraModel, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x >= 0) & (x <= camera.width - 1) & (y >= 0) & (y <= camera.height - 1)
