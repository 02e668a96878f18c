# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibrated camera: the contents of a ``CameraInfo`` or a calibration file, without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics

Numbers = Sequence[float] | np.ndarray
FISHEYE_MODELS = ("equidistant", "fisheye")  # two names of one model (Kannala and Brandt 2006)
TRANSPORTS = ("compressed", "theora", "ffmpeg", "zstd")  # last words of image topics
MAX_PIXELS = 8192 * 4320  # of an image; larger ones come of a damaged message
MAX_HEIGHT = 4  # of an image in widths; networks' and tracking images have its shape
SHORTEST, LONGEST = 0.03, 1000.0  # focal length in image widths: 177 to 0.06 degrees
FARTHEST = 10.0  # principal point from the image's centre, in image sizes; a cut-out's is outside
REFOCUS = 0.01  # change of K, relative to the focal length, that autofocus and stabilisers make


@dataclass(frozen=True, eq=False)
class CameraModel:
    """A calibrated camera with its lens (``sensor_msgs/CameraInfo`` by its fields)."""

    K: np.ndarray  # `(3, 3)` float64, intrinsics of the image as the camera sends it
    D: np.ndarray  # `(N,)` float64 distortion coefficients; all zero or empty = no distortion
    model: str  # Name of the distortion model, for example `"plumb_bob"`
    R: np.ndarray  # `(3, 3)` float64 rotation into the rectified camera
    P: np.ndarray  # `(3, 4)` float64 projection of the rectified camera
    width: int  # Width in pixels of the image as the camera sends it
    height: int  # Height in pixels of the same
    frame_id: str = ""  # Name of the optical frame

    @classmethod
    def from_matrices(
        cls,
        K: Numbers,
        width: int,
        height: int,
        *,
        D: Numbers = (),
        model: str = "plumb_bob",
        R: Numbers | None = None,
        P: Numbers | None = None,
        frame_id: str = "",
    ) -> CameraModel:
        """Build from flat or shaped numbers, row-major as in CameraInfo.

        An all-zero R or P counts as not given (drivers without calibration send that): R is then
        the identity and P is K. An all-zero K beside a P is a stream that is rectified already.

        Args:
            K: 3x3 intrinsics of the raw image, pixels.
            width: Of the raw image, pixels.
            height: The same.
            D: Distortion coefficients, as many as the model has.
            model: plumb_bob, rational_polynomial or equidistant; empty = plumb_bob.
            R: 3x3 rotation from the raw to the rectified optical frame.
            P: 3x4 projection of the rectified image, pixels.
            frame_id: Name of the optical frame.

        Raises:
            DataError: A focal length, size or count of numbers is impossible.
        """
        if not _is_given(K) and _is_given(P):
            return cls.from_matrices(_K_of(P), width, height, P=P, frame_id=frame_id)
        K = _shaped("K", K, (3, 3))
        R = _shaped("R", R, (3, 3)) if _is_given(R) else np.eye(3)
        P = _shaped("P", P, (3, 4)) if _is_given(P) else np.hstack([K, np.zeros((3, 1))])
        D = np.asarray(D, np.float64).reshape(-1)
        camera = cls(K, D, model or "plumb_bob", R, P, int(width), int(height), frame_id)
        camera._check()
        return camera

    @classmethod
    def from_intrinsics(cls, intrinsics: Intrinsics, frame_id: str = "") -> CameraModel:
        """A camera without distortion."""
        return cls.from_matrices(
            intrinsics.matrix, intrinsics.width, intrinsics.height, frame_id=frame_id
        )

    def of_rectified_stream(self) -> CameraModel:
        """The camera of the image that ``image_proc`` rectified by this calibration: P alone."""
        return CameraModel.from_matrices(
            _K_of(self.P), self.width, self.height, P=self.P, frame_id=self.frame_id
        )

    @property
    def is_distorted(self) -> bool:
        """Whether rectifying moves pixels at all."""
        return bool(
            np.any(self.D != 0)
            or self.model in FISHEYE_MODELS  # no pinhole even where all coefficients are zero
            or not np.allclose(self.R, np.eye(3), atol=1e-9)
            or not np.allclose(self.P[:, :3], self.K, rtol=1e-6, atol=1e-6)
        )

    @property
    def rectified(self) -> Intrinsics:
        """Pinhole of the rectified image of the same size, as ``image_proc`` makes it."""
        return _intrinsics(self.P, self.width, self.height)

    def is_same(self, other: CameraModel) -> bool:
        """Whether both are one camera, possibly refocused: K and P may differ by a percent."""
        tolerance = REFOCUS * float(self.K[0, 0])
        return self._is_one_lens(other) and all(
            np.allclose(a, b, rtol=0.0, atol=tolerance)
            for a, b in ((self.K, other.K), (self.P, other.P))
        )

    def is_equal(self, other: CameraModel) -> bool:
        """Whether both describe the same pixels exactly."""
        return (
            self._is_one_lens(other)
            and np.array_equal(self.K, other.K)
            and np.array_equal(self.P, other.P)
        )

    def _is_one_lens(self, other: CameraModel) -> bool:
        return (
            (self.width, self.height, self.model, self.frame_id)
            == (other.width, other.height, other.model, other.frame_id)
            and np.array_equal(self.D, other.D)
            and np.array_equal(self.R, other.R)
        )

    def _check(self) -> None:
        lenses = {
            name: _intrinsics(matrix, self.width, self.height)
            for name, matrix in (("K", self.K), ("P", self.P))
        }
        if not np.isfinite(self.D).all():
            raise DataError(f"distortion coefficients are {self.D.tolist()}: calibrate the camera")
        if not _is_rotation(self.R):
            raise DataError("R of camera_info is not a rotation: calibrate the camera again")
        if self.width * self.height > MAX_PIXELS:
            raise DataError(
                f"camera_info describes an image of {self.width}x{self.height}, expected at most "
                f"{MAX_PIXELS} pixels: check the camera driver"
            )
        if self.height > MAX_HEIGHT * self.width:
            raise DataError(
                f"camera_info describes an image of {self.width}x{self.height}, expected a height "
                f"of at most {MAX_HEIGHT} widths: check the camera driver"
            )
        for name, lens in lenses.items():
            _check_lens(lens, name)


def _is_rotation(matrix: np.ndarray) -> bool:
    """Whether a 3x3 matrix turns, without shearing or mirroring, rounding aside."""
    return bool(
        np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-2) and np.linalg.det(matrix) > 0.0
    )


def is_rectified_topic(topic: str) -> bool:
    """Whether an image topic holds rectified images by the names of ``image_proc``.

    ``camera_info`` in the namespace of ``image_rect`` describes the raw image by K and D, the
    rectified one by P.
    """
    *_, name = (word for word in topic.split("/") if word not in TRANSPORTS)
    return name.startswith("image_rect")


def _check_lens(camera: Intrinsics, name: str) -> None:
    """Refuse a focal length or principal point that no lens has.

    Raises:
        DataError: With the reason that is likely.
    """
    width, height = camera.width, camera.height
    if not SHORTEST * width <= camera.fx <= LONGEST * width:
        raise DataError(
            f"{name} of camera_info has a focal length of {camera.fx:g} pixels for images {width} "
            f"wide, expected {SHORTEST * width:g} to {LONGEST * width:g}: pixels, not millimetres "
            "or shares of the width; calibrate the camera, or give camera_info_file"
        )
    if abs(camera.cx - width / 2) > FARTHEST * width or abs(camera.cy - height / 2) > (
        FARTHEST * height
    ):
        raise DataError(
            f"{name} of camera_info has its principal point at ({camera.cx:g}, {camera.cy:g}) for "
            f"images of {width}x{height}: look at the region of interest, or calibrate the camera"
        )


def _K_of(P: Numbers | None) -> np.ndarray:
    return _shaped("P", P, (3, 4))[:, :3]


def _intrinsics(M: np.ndarray, width: int, height: int) -> Intrinsics:
    fx, fy, cx, cy = (float(M[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    return Intrinsics(fx, fy, cx, cy, width, height)


def _is_given(numbers: Numbers | None) -> bool:
    return numbers is not None and bool(np.any(np.asarray(numbers) != 0))


def _shaped(name: str, numbers: Numbers | None, shape: tuple[int, int]) -> np.ndarray:
    array = np.array(numbers, np.float64)
    if array.size != shape[0] * shape[1] or not np.isfinite(array).all():
        raise DataError(
            f"{name} of camera_info has {array.size} numbers or one that is not finite, expected "
            f"{shape[0] * shape[1]} finite ones: calibrate the camera"
        )
    return array.reshape(shape)


CALIBRATION_LENGTH = 1 << 20  # characters of a file; a calibration has some hundreds


def read_camera_info_file(path: str | Path, frame_id: str = "") -> CameraModel:
    """Read a calibration.

    Args:
        path: File with image_width, image_height, camera_matrix, distortion_model,
            distortion_coefficients, rectification_matrix and projection_matrix; the last two may
            be missing. ``~`` is the home folder.
        frame_id: Name of the optical frame, which the file does not hold.

    Raises:
        DataError: The file is missing, no YAML, or lacks a field.
    """
    try:
        with Path(path).expanduser().open(encoding="utf-8") as file:
            text = file.read(CALIBRATION_LENGTH + 1)
        if len(text) > CALIBRATION_LENGTH:
            raise DataError(
                f"camera_info_file {path} has more than {CALIBRATION_LENGTH} characters: it is no "
                "calibration"
            )
        content = yaml.safe_load(text)
    except (OSError, ValueError, RuntimeError, yaml.YAMLError) as error:
        raise DataError(f"camera_info_file {path} cannot be read: {error}") from error
    try:
        return CameraModel.from_matrices(
            content["camera_matrix"]["data"],
            content["image_width"],
            content["image_height"],
            D=_data(content, "distortion_coefficients") or (),
            model=content.get("distortion_model", "plumb_bob"),
            R=_data(content, "rectification_matrix"),
            P=_data(content, "projection_matrix"),
            frame_id=frame_id,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"camera_info_file {path}: {type(error).__name__} {error}; expected the fields that "
            "camera_calibration writes (image_width, image_height, camera_matrix, ...)"
        ) from error


def _data(content: dict[str, Any], name: str) -> list[float] | None:
    matrix = content.get(name)
    return None if matrix is None else matrix["data"]
