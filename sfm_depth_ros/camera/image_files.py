# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image files to pixels and back (``sensor_msgs/CompressedImage``)."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np

from sfm_depth_ros.camera.camera_model import MAX_PIXELS
from sfm_depth_ros.camera.image_codec import WHITE_LEVEL, debayered, depth_pixels
from sfm_depth_ros.errors import DataError


def decode_compressed(
    format: str,
    data: Any,
    max_pixels: int = MAX_PIXELS,
    white_level: int = WHITE_LEVEL,
    is_upright: bool = False,
    any_format: bool = False,
) -> np.ndarray:
    """Decode a JPEG, PNG or TIFF (``sensor_msgs/CompressedImage``).

    Args:
        format: The message's format; its first word is the encoding, such as a Bayer mosaic's.
        data: The file's bytes.
        max_pixels: Largest image that is decoded, by the size in its header.
        white_level: Value of white in files of 16 bits: 4095 of a camera with 12 bits.
        is_upright: Whether to rotate as the file's EXIF demands. The intrinsics of a calibrated
            camera belong to the pixels as they are.
        any_format: Take whatever OpenCV reads (WebP, BMP, ...), though its size is known only
            once it is decoded: for files that a person names, not for messages.

    Returns:
        ``(H, W, 3)`` uint8, RGB.

    Raises:
        DataError: The bytes are no whole image, or it is too large.
    """
    encoding = format.partition(";")[0].strip()
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    if encoding.startswith("bayer_"):
        flags = cv2.IMREAD_UNCHANGED
    if not is_upright:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    image = _imdecode(format, data, flags, max_pixels, any_format)
    if image.dtype == np.uint16:
        image = cv2.convertScaleAbs(image, alpha=255.0 / white_level)
    if image.ndim == 2:
        return debayered(image, encoding)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def decode_compressed_depth(format: str, data: Any) -> np.ndarray:
    """Decode a PNG of 16-bit millimetres (``"16UC1; png"``, ``"16UC1; compressedDepth png"``).

    Returns:
        ``(H, W)`` float32 metres, 0 where unknown.
    """
    if "16UC1" not in format:
        raise DataError(f"compressed depth of format {format!r} is not known; expected 16UC1; png")
    # compressed_depth_image_transport puts a header of 12 bytes before the file
    body = memoryview(data)[12:] if "compressedDepth" in format else data
    millimetres = _imdecode(format, body, cv2.IMREAD_UNCHANGED, MAX_PIXELS)
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


def _imdecode(
    format: str, data: Any, flags: int, max_pixels: int, any_format: bool = False
) -> np.ndarray:
    buffer = np.frombuffer(data, np.uint8)
    width, height = image_size(buffer)
    if width * height == 0 and not any_format:
        raise DataError(
            f"compressed image of format {format!r} and {buffer.size} bytes is no JPEG, PNG or "
            "TIFF: set its publisher to one of them"
        )
    if width * height > max_pixels:
        raise DataError(
            f"compressed image of format {format!r} is {width}x{height}, expected at most "
            f"{max_pixels} pixels: check its publisher"
        )
    image = cv2.imdecode(buffer, flags) if buffer.size else None
    if image is None:
        raise DataError(
            f"compressed image of format {format!r} and {buffer.size} bytes cannot be decoded; "
            "expected a whole JPEG, PNG or TIFF"
        )
    return image


def image_size(data: np.ndarray) -> tuple[int, int]:
    """Width and height in the header of a JPEG, PNG or TIFF, ``(N,)`` uint8; (0, 0) = none.

    Source: PNG (ISO 15948) IHDR; JPEG (ITU-T T.81) frame headers SOF0 to SOF15; TIFF 6.0, tags
    256 and 257 of the first directory.
    """
    start = data[:24].tobytes()
    if order := {b"II*\0": "<", b"MM\0*": ">"}.get(start[:4]):
        return _tiff_size(data.data, order)
    if start.startswith(b"\x89PNG\r\n\x1a\n") and len(start) == 24:
        width, height = struct.unpack(">II", start[16:])
        return width, height
    place = 2 if start.startswith(b"\xff\xd8") else data.size
    while place + 9 <= data.size and data[place] == 0xFF:
        marker, length = int(data[place + 1]), int(data[place + 2]) << 8 | int(data[place + 3])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[place + 5 : place + 9].tobytes())
            return width, height
        place += 1 if marker == 0xFF else 2 + length  # 0xFF: fill bytes before a marker
    return 0, 0


def _tiff_size(data: memoryview, order: str) -> tuple[int, int]:
    """Width and height of a TIFF in a byte order of ``struct``; (0, 0) where it is cut off."""
    size = {256: 0, 257: 0}
    try:
        (place,) = struct.unpack_from(f"{order}I", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, place)
        for entry in range(place + 2, place + 2 + 12 * entries, 12):
            tag, kind = struct.unpack_from(f"{order}HH", data, entry)
            if tag in size:  # a value of 16 bits (kind 3) or of 32
                (value,) = struct.unpack_from(order + "HI"[kind != 3], data, entry + 8)
                size[tag] = max(size[tag], value)
    except struct.error:
        return 0, 0
    return size[256], size[257]


def _imencode(suffix: str, image: np.ndarray, parameters: list[int]) -> bytes:
    done, buffer = cv2.imencode(suffix, np.ascontiguousarray(image), parameters)
    if not done:
        raise ValueError(f"cannot encode an array of {image.shape} {image.dtype} as {suffix}")
    return buffer.tobytes()
