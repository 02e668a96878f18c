# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lens distortion of ``sensor_msgs/CameraInfo`` and the map that takes it away (numpy alone).

Formulas are those of OpenCV's ``calib3d`` (Brown 1966; Kannala and Brandt 2006 for equidistant).
Rectified pixels are traced forward into the distorted image, so that nothing is inverted.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from sfm_depth_ros.errors import DataError

_RADII = 4096  # samples of the lens curve when looking for the radius where it folds back


def distort_points(points: ArrayLike, model: str, coefficients: ArrayLike) -> np.ndarray:
    """Where the lens puts rays.

    Args:
        points: ``(N, 2)`` as x / z, y / z of the rays in the optical frame.
        model: ``plumb_bob``, ``rational_polynomial`` or ``equidistant``.
        coefficients: As in ``CameraInfo.d``; none or all zero = no distortion where the model
            allows it.

    Returns:
        ``(N, 2)`` float64; pixels after multiplication with K.

    Raises:
        DataError: The model is unknown or the coefficients do not fit it.
    """
    xy = np.asarray(points, dtype=np.float64)
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise ValueError(f"expected points (N, 2), got {xy.shape}")
    distort, values = _lens(model, coefficients)
    return distort(xy, values)


def undistort_map(
    K: ArrayLike,
    D: ArrayLike,
    model: str,
    R: ArrayLike | None,
    P: ArrayLike | None,
    size_in: tuple[int, int],
    size_out: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Where each rectified pixel lies in the image as the camera sends it.

    Args:
        K: ``(3, 3)`` intrinsics of the camera's image.
        D: Distortion coefficients.
        model: Distortion model, see ``distort_points``.
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
    distort, values = _lens(model, D)
    camera = np.asarray(K, dtype=np.float64)
    rays = _rectified_rays(camera if P is None else P, R, size_out)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        xy = rays[:, :2] / rays[:, 2:]
        seen = (rays[:, 2] > 0) & (np.hypot(xy[:, 0], xy[:, 1]) <= _fold_radius(model, values))
        pixels = distort(xy, values) @ camera[:2, :2].T + camera[:2, 2]
    seen &= _inside(pixels, size_in)
    limit = np.array(size_in, dtype=np.float64) - 1.0
    pixels = np.where(seen[:, None], np.clip(pixels, 0.0, limit), -1.0).astype(np.float32)
    width, height = size_out
    columns, rows = pixels.reshape(height, width, 2).transpose(2, 0, 1)
    return np.ascontiguousarray(columns), np.ascontiguousarray(rows)


def _rectified_rays(P: ArrayLike, R: ArrayLike | None, size: tuple[int, int]) -> np.ndarray:
    """Ray of each rectified pixel in the camera's frame, ``(N, 3)``, row by row."""
    projection = np.asarray(P, dtype=np.float64)
    rotation = np.eye(3) if R is None else np.asarray(R, dtype=np.float64)
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-2):
        raise DataError("R of camera_info is no rotation: calibrate the camera again")
    if abs(np.linalg.det(projection[:, :3])) < 1e-12:
        raise DataError("P of camera_info has no focal length: calibrate the camera")
    width, height = size
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1).reshape(-1, 3)
    return pixels @ (rotation.T @ np.linalg.inv(projection[:, :3])).T


def _inside(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Whether ``(N, 2)`` pixels lie on the image, whose outer pixels reach half a pixel out."""
    upper = np.array(size) - 0.5
    return np.all((pixels >= -0.5) & (pixels <= upper), axis=1)


def _polynomial(xy: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Brown's model with a rational radial part; d = k1 k2 p1 p2 k3 k4 k5 k6."""
    x, y = xy[:, 0], xy[:, 1]
    square = x * x + y * y
    radial = _radial(square, d)
    tangential_x = 2 * d[2] * x * y + d[3] * (square + 2 * x * x)
    tangential_y = d[2] * (square + 2 * y * y) + 2 * d[3] * x * y
    return np.stack([x * radial + tangential_x, y * radial + tangential_y], axis=1)


def _radial(square: np.ndarray, d: np.ndarray) -> np.ndarray:
    above = 1 + square * (d[0] + square * (d[1] + square * d[4]))
    below = 1 + square * (d[5] + square * (d[6] + square * d[7]))
    return above / below


def _equidistant(xy: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The fisheye model; d = k1 k2 k3 k4 on powers of the ray's angle."""
    radius = np.hypot(xy[:, 0], xy[:, 1])
    angle = np.arctan(radius)
    scale = np.divide(_bent(angle, d), radius, out=np.ones_like(radius), where=radius > 1e-12)
    return xy * scale[:, None]


def _bent(angle: np.ndarray, d: np.ndarray) -> np.ndarray:
    square = angle * angle
    return angle * (1 + square * (d[0] + square * (d[1] + square * (d[2] + square * d[3]))))


def _fold_radius(model: str, d: np.ndarray) -> float:
    """Ray radius up to which the lens curve rises; beyond it a polynomial says nonsense."""
    angles = np.linspace(0.0, np.pi / 2, _RADII, endpoint=False)
    radii = np.tan(angles)
    with np.errstate(all="ignore"):
        bent = _bent(angles, d) if model in _FISHEYE else radii * _radial(radii * radii, d)
        falls = ~(np.diff(bent) > 0)
    return float(radii[np.argmax(falls)]) if falls.any() else np.inf


_Lens = Callable[[np.ndarray, np.ndarray], np.ndarray]
_FISHEYE = ("equidistant", "fisheye")
# Model: its function, how many coefficients it takes, and how many it is padded to.
_MODELS: dict[str, tuple[_Lens, tuple[int, ...], int]] = {
    "plumb_bob": (_polynomial, (0, 4, 5), 8),
    "rational_polynomial": (_polynomial, (0, 4, 5, 8), 8),
    "equidistant": (_equidistant, (4,), 4),
    "fisheye": (_equidistant, (4,), 4),  # another name of it in camera_calibration files
}


def _lens(model: str, coefficients: ArrayLike) -> tuple[_Lens, np.ndarray]:
    if model not in _MODELS:
        raise DataError(
            f"unknown distortion model {model!r}, expected one of {', '.join(_MODELS)}: calibrate "
            "with one of them, or publish a rectified image"
        )
    distort, counts, length = _MODELS[model]
    values = np.asarray(coefficients, dtype=np.float64).reshape(-1)
    if values.size > length and not values[length:].any():
        values = values[:length]  # thin prism and tilt, given and unused
    if values.size not in counts or not np.isfinite(values).all():
        raise DataError(
            f"distortion model {model} expects {' or '.join(map(str, counts))} finite "
            f"coefficients, got {values.tolist()}: calibrate the camera again"
        )
    return distort, np.pad(values, (0, length - values.size))
