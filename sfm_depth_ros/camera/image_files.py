# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JPEG and PNG files to pixels and back (``sensor_msgs/CompressedImage``)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from sfm_depth_ros.camera.image_codec import depth_pixels
from sfm_depth_ros.errors import DataError


def decode_compressed(format: str, data: Any) -> np.ndarray:
    """Decode a JPEG or PNG (``sensor_msgs/CompressedImage``).

    Args:
        format: The message's format, for the error message; the bytes say what they are.
        data: The file's bytes.

    Returns:
        ``(H, W, 3)`` uint8, RGB. An orientation in the file's EXIF is ignored: intrinsics belong
        to the pixels as they are.

    Raises:
        DataError: The bytes are no whole image.
    """
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.cvtColor(_imdecode(format, data, flags), cv2.COLOR_BGR2RGB)


def decode_compressed_depth(format: str, data: Any) -> np.ndarray:
    """Decode a PNG of 16-bit millimetres (``"16UC1; png"``, ``"16UC1; compressedDepth png"``).

    Returns:
        ``(H, W)`` float32 metres, 0 where unknown.
    """
    if "16UC1" not in format:
        raise DataError(f"compressed depth of format {format!r} is not known; expected 16UC1; png")
    # compressed_depth_image_transport puts a header of 12 bytes before the file
    body = memoryview(data)[12:] if "compressedDepth" in format else data
    millimetres = _imdecode(format, body, cv2.IMREAD_UNCHANGED)
    if millimetres.dtype != np.uint16 or millimetres.ndim != 2:
        raise DataError(f"compressed depth {format!r} is no single channel of 16 bit")
    return millimetres.astype(np.float32) * np.float32(1e-3)


def encode_jpeg(image: np.ndarray, quality: int = 95) -> bytes:
    """Compress ``(H, W, 3)`` uint8 RGB."""
    return _imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(image: np.ndarray) -> bytes:
    """Compress ``(H, W, 3)`` uint8 RGB, or ``(H, W)`` uint8 or uint16, without loss."""
    return _imencode(".png", image[..., ::-1] if image.ndim == 3 else image, [])


def encode_depth(depth: np.ndarray) -> bytes:
    """Compress ``(H, W)`` metres to a PNG of 16-bit millimetres, see ``depth_pixels``."""
    return encode_png(depth_pixels(depth, "16UC1"))


def _imdecode(format: str, data: Any, flags: int) -> np.ndarray:
    buffer = np.frombuffer(data, np.uint8)
    image = cv2.imdecode(buffer, flags) if buffer.size else None
    if image is None:
        raise DataError(
            f"compressed image of format {format!r} and {buffer.size} bytes cannot be decoded; "
            "expected a whole JPEG or PNG"
        )
    return image


def _imencode(suffix: str, image: np.ndarray, parameters: list[int]) -> bytes:
    done, buffer = cv2.imencode(suffix, np.ascontiguousarray(image), parameters)
    if not done:
        raise ValueError(f"cannot encode an array of {image.shape} {image.dtype} as {suffix}")
    return buffer.tobytes()
