# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Undistortion, rotation and scaling of an image in one remap, with a mask of sourced pixels.

The maps are OpenCV's (``calib3d``), which extrapolate: they come back into the image where a lens
polynomial folds, and from behind the camera. Such pixels are marked as unseen.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike

from sfm_depth_ros.camera.camera_model import FISHEYE_MODELS, CameraModel
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics

_AREA_PIXELS = 1_000_000  # of the map that finds the part of a larger image that has a source
LEAST_AREA = 0.01  # of the rectified image that must have a source; P may be a smaller image's
_RADII = 4096  # samples of the lens curve when looking for the radius where it folds back
# Model -> number of coefficients that it may have (Brown 1966, with a rational radial part).
_COEFFICIENTS: dict[str, tuple[int, ...]] = {
    "plumb_bob": (0, 4, 5),
    "rational_polynomial": (0, 4, 5, 8),
    **dict.fromkeys(FISHEYE_MODELS, (4,)),
}


def undistort_map(
    K: ArrayLike,
    D: ArrayLike,
    model: str,
    R: ArrayLike | None,
    P: ArrayLike | None,
    size_in: tuple[int, int],
    size_out: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Position of each rectified pixel in the image as the camera sends it.

    Args:
        K: ``(3, 3)`` intrinsics of the camera's image.
        D: Distortion coefficients as in ``CameraInfo.d``.
        model: ``plumb_bob``, ``rational_polynomial``, ``equidistant`` or ``fisheye``.
        R: ``(3, 3)`` rotation from the camera into the rectified camera; None = identity.
        P: ``(3, 3)`` or ``(3, 4)`` intrinsics of the rectified image of ``size_out``; None = K.
        size_in: Width and height of the camera's image.
        size_out: Width and height of the rectified image.

    Returns:
        Columns and rows, each ``(height, width)`` float32, ready for ``cv2.remap``. Both are -1
        where the camera saw nothing: behind it, outside its image, or beyond the radius up to
        which the lens model holds.

    Raises:
        DataError: Model, coefficients, R or P cannot be used.
    """
    d = _coefficients(model, D)
    camera = np.asarray(K, dtype=np.float64)
    projection = camera if P is None else np.asarray(P, dtype=np.float64)[:, :3]
    rotation = np.eye(3) if R is None else np.asarray(R, dtype=np.float64)
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-2):
        raise DataError("R of camera_info is not a rotation: calibrate the camera again")
    if abs(np.linalg.det(projection)) < 1e-12:
        raise DataError("P of camera_info has no focal length: calibrate the camera")
    calib3d = cv2.fisheye if model in FISHEYE_MODELS else cv2
    columns, rows = calib3d.initUndistortRectifyMap(
        camera, d, rotation, projection, size_out, cv2.CV_32FC1
    )
    seen = _is_modelled(projection, rotation, size_out, _fold_radius(model, d))
    # the outermost pixels reach half a pixel out
    for places, length in ((columns, size_in[0]), (rows, size_in[1])):
        seen &= (places >= -0.5) & (places <= length - 0.5)
        np.clip(places, 0, length - 1, out=places)
    columns[~seen] = rows[~seen] = -1.0
    return columns, rows


def _is_modelled(P: np.ndarray, R: np.ndarray, size: tuple[int, int], radius: float) -> np.ndarray:
    """Whether each rectified pixel's ray is in front of the camera and within ``radius``."""
    columns, rows = np.arange(size[0])[None, :], np.arange(size[1])[:, None]
    x, y, z = (a * columns + b * rows + c for a, b, c in R.T @ np.linalg.inv(P))
    return (z > 0) & (np.hypot(x, y) <= radius * z)


def _fold_radius(model: str, d: np.ndarray) -> float:
    """Ray radius up to which the lens curve rises; the polynomial is meaningless beyond it."""
    angles = np.linspace(0.0, np.pi / 2, _RADII, endpoint=False)
    radii = np.tan(angles)
    with np.errstate(all="ignore"):
        if model in FISHEYE_MODELS:
            curve = angles * np.polyval([*d[::-1], 1.0], angles**2)
        else:
            k = np.pad(d, (0, 8 - d.size))
            above = np.polyval([k[4], k[1], k[0], 1.0], radii**2)
            curve = radii * above / np.polyval([k[7], k[6], k[5], 1.0], radii**2)
        falls = ~(np.diff(curve) > 0)
    return float(radii[np.argmax(falls)]) if falls.any() else np.inf


def _coefficients(model: str, coefficients: ArrayLike) -> np.ndarray:
    """Checked coefficients, as many as OpenCV takes for the model."""
    if model not in _COEFFICIENTS:
        raise DataError(
            f"unknown distortion model {model!r}, expected one of {', '.join(_COEFFICIENTS)}: "
            "calibrate with one of them, or publish a rectified image"
        )
    counts = _COEFFICIENTS[model]
    values = np.asarray(coefficients, dtype=np.float64).reshape(-1)
    most = 4 if model in FISHEYE_MODELS else 8
    if values.size > most and not values[most:].any():
        values = values[:most]  # thin prism and tilt, present and zero
    if values.size not in counts or not np.isfinite(values).all():
        raise DataError(
            f"distortion model {model} expects {' or '.join(map(str, counts))} finite "
            f"coefficients, got {_listed(values)}: calibrate the camera again"
        )
    return values if values.size else np.zeros(5)


def _listed(values: np.ndarray) -> str:
    rest = f" and {values.size - 8} more" if values.size > 8 else ""
    return f"{values[:8].tolist()}{rest}"


class Rectification:
    """The map from one distorted camera to one rectified pinhole image."""

    def __init__(
        self, camera: CameraModel, destination: Intrinsics, oversampling: int = 1
    ) -> None:
        """Compute the map.

        Args:
            camera: The camera as it sends images.
            destination: Pinhole of the wanted image, in the rectified camera's orientation.
            oversampling: Samples of an image along both sides of each pixel, whose mean is taken.
        """
        self._camera = camera
        self._destination = destination
        self._x, self._y = _map(camera, destination)
        self.valid = _inside(camera, self._x, self._y)
        x, y, fine = self._x, self._y, destination
        if oversampling > 1:
            size = destination.width * oversampling, destination.height * oversampling
            fine = destination.resized(*size)
            x, y = _map(camera, fine)
        # whole factors are several times faster than others; the remap does the rest, below two
        self._factor = max(1, int(camera.K[0, 0] / fine.fx))
        self._maps = cv2.convertMaps(
            (x + np.float32(0.5)) / np.float32(self._factor) - np.float32(0.5),
            (y + np.float32(0.5)) / np.float32(self._factor) - np.float32(0.5),
            cv2.CV_16SC2,
        )

    @staticmethod
    def sourced_area(camera: CameraModel) -> tuple[int, int, int, int]:
        """Part of the rectified image of the camera's size that has a source.

        P may describe a smaller image than width x height; border rows and columns of which less
        than half has a source are left out. Large images are looked at in steps of some pixels:
        a map of each pixel of a 4K image takes 0.4 GB.

        Returns:
            (left, top, right, bottom) in pixels.
        """
        whole = camera.rectified
        step = max(1, math.ceil(math.sqrt(whole.width * whole.height / _AREA_PIXELS)))
        coarse = whole.resized(max(1, whole.width // step), max(1, whole.height // step))
        valid = _inside(camera, *_map(camera, coarse))
        rows = np.flatnonzero(valid.sum(axis=1) >= 0.5 * valid.any(0).sum())
        columns = np.flatnonzero(valid.sum(axis=0) >= 0.5 * valid.any(1).sum())
        if not rows.size or not columns.size or valid.mean() < LEAST_AREA:
            raise DataError(
                "the rectified image of this camera_info shows nothing of the camera's image: K, "
                "D, R and P do not belong together; calibrate the camera again"
            )
        x, y = whole.width / coarse.width, whole.height / coarse.height
        return (
            math.ceil(columns[0] * x),
            math.ceil(rows[0] * y),
            math.floor((columns[-1] + 1) * x),
            math.floor((rows[-1] + 1) * y),
        )

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Rectify ``(H, W, 3)`` uint8 to the destination's ``(h, w, 3)``."""
        if self._factor > 1:
            width, height = self._camera.width // self._factor, self._camera.height // self._factor
            whole = image[: height * self._factor, : width * self._factor]
            image = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
        x, y = self._maps
        fine = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        height, width = self._x.shape
        if fine.shape[:2] == (height, width):
            return fine
        return cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)

    def sample_depth(self, depth: np.ndarray) -> np.ndarray:
        """Nearest depth of ``(H, W)`` metres, along the rectified axis; 0 = unknown."""
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
