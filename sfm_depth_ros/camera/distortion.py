# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Undistortion maps of the lens models of ``sensor_msgs/CameraInfo``, by OpenCV's ``calib3d``.

OpenCV extrapolates: its maps come back into the image where a lens polynomial folds, and from
behind the camera. Such pixels are marked here as unseen.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike

from sfm_depth_ros.errors import DataError

_RADII = 4096  # samples of the lens curve when looking for the radius where it folds back
FISHEYE_MODELS = ("equidistant", "fisheye")  # two names of one model (Kannala and Brandt 2006)
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
    width, height = size
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    rays = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ (R.T @ np.linalg.inv(P)).T
    return (rays[..., 2] > 0) & (np.hypot(rays[..., 0], rays[..., 1]) <= radius * rays[..., 2])


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
            f"coefficients, got {values.tolist()}: calibrate the camera again"
        )
    return values if values.size else np.zeros(5)
