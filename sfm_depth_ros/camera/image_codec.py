# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image encodings to ``(H, W, 3)`` uint8 RGB, to depth and to labels, and back.

Names of encodings are those of ``sensor_msgs/image_encodings``. Buffers may be anything with the
buffer protocol: bytes, ``array.array``, memoryview, ndarray.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from sfm_depth_ros.errors import DataError

Decoder = Callable[[np.ndarray], np.ndarray]
WHITE_LEVEL = 65535  # value of white in 16-bit images
NEARLY_BLACK = 32  # an image without a brighter channel shows nothing


def _converted(code: int) -> Decoder:
    return lambda image: cv2.cvtColor(image, code)


# OpenCV names a Bayer pattern by its second row, ROS by its first: RGGB is OpenCV's "BG".
_BAYER = {
    "bayer_rggb": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg": cv2.COLOR_BayerGB2RGB,
}
_GREY = _converted(cv2.COLOR_GRAY2RGB)

# encoding -> (sample type, samples per pixel, decoder)
_DECODERS: dict[str, tuple[type, int, Decoder]] = {
    "rgb8": (np.uint8, 3, lambda image: image),
    "bgr8": (np.uint8, 3, _converted(cv2.COLOR_BGR2RGB)),
    "rgba8": (np.uint8, 4, _converted(cv2.COLOR_RGBA2RGB)),
    "bgra8": (np.uint8, 4, _converted(cv2.COLOR_BGRA2RGB)),
    "8UC3": (np.uint8, 3, _converted(cv2.COLOR_BGR2RGB)),
    "mono8": (np.uint8, 1, _GREY),
    "8UC1": (np.uint8, 1, _GREY),
    "mono16": (np.uint16, 1, _GREY),
    "yuv422": (np.uint8, 2, _converted(cv2.COLOR_YUV2RGB_UYVY)),
    "uyvy": (np.uint8, 2, _converted(cv2.COLOR_YUV2RGB_UYVY)),
    "yuv422_yuy2": (np.uint8, 2, _converted(cv2.COLOR_YUV2RGB_YUYV)),
    "yuyv": (np.uint8, 2, _converted(cv2.COLOR_YUV2RGB_YUYV)),
    **{f"{name}8": (np.uint8, 1, _converted(code)) for name, code in _BAYER.items()},
    **{f"{name}16": (np.uint16, 1, _converted(code)) for name, code in _BAYER.items()},
}

# encoding -> decoder of a grey plane with one of interleaved colours at half the size below it
_PLANAR: dict[str, Decoder] = {
    "nv12": _converted(cv2.COLOR_YUV2RGB_NV12),
    "nv21": _converted(cv2.COLOR_YUV2RGB_NV21),
}
_SHARED_COLOURS = ("yuv422", "uyvy", "yuv422_yuy2", "yuyv", *_PLANAR)  # by two columns

# encoding of a written image -> (sample type, samples per pixel)
_MESSAGE_PIXELS: dict[str, tuple[np.dtype[Any], int]] = {
    "rgb8": (np.dtype("u1"), 3),
    "bgr8": (np.dtype("u1"), 3),
    "mono8": (np.dtype("u1"), 1),
    "16UC1": (np.dtype("<u2"), 1),
    "32FC1": (np.dtype("<f4"), 1),
}
_MOST_MILLIMETRES = 65535


def decode_image(
    encoding: str,
    data: Any,
    height: int,
    width: int,
    step: int,
    is_bigendian: bool = False,
    white_level: int = WHITE_LEVEL,
) -> np.ndarray:
    """Decode an uncompressed image.

    rgb8 is not copied: the result is then a view of ``data`` and as writable as that.

    Args:
        encoding: Name of the encoding, for example ``"bgr8"``.
        data: Buffer of at least ``step * height`` bytes.
        height: Rows.
        width: Columns.
        step: Bytes of a row.
        is_bigendian: Whether samples of two bytes have the high one first.
        white_level: Value of white in 16-bit encodings: 4095 of a camera with 12 bits.

    Returns:
        ``(height, width, 3)`` uint8, RGB.

    Raises:
        DataError: Encoding unknown, or step and size do not fit the buffer.
    """
    if encoding not in _DECODERS and encoding not in _PLANAR:
        if encoding in ("16UC1", "32FC1"):
            raise DataError(
                f"image encoding {encoding!r} is that of depth: remap image to the topic of "
                "colour or grey images; a thermal camera's driver must send mono16"
            )
        raise DataError(
            f"image encoding {encoding!r} is not known; have the camera driver or image_proc send "
            f"one of: {', '.join(sorted((*_DECODERS, *_PLANAR)))}"
        )
    if encoding in _SHARED_COLOURS:
        _check_even(encoding, height, width)
    if encoding in _PLANAR:
        rows = height + height // 2
        planes = _pixels(encoding, data, rows, width, step, is_bigendian, np.uint8, 1)
        return _PLANAR[encoding](np.ascontiguousarray(planes))
    sample, samples, decoder = _DECODERS[encoding]
    pixels = _pixels(encoding, data, height, width, step, is_bigendian, sample, samples)
    if sample is np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=255.0 / white_level)
    try:
        return decoder(pixels)
    except cv2.error as error:
        raise DataError(
            f"{encoding} image of {width}x{height} cannot be decoded: its size does not fit the "
            "encoding"
        ) from error


def _check_even(encoding: str, height: int, width: int) -> None:
    """Refuse an odd size; OpenCV 4.6 decodes it beyond the image's end.

    Raises:
        DataError: The width is odd, or the height of an encoding in planes.
    """
    if width % 2 or (encoding in _PLANAR and height % 2):
        raise DataError(
            f"{encoding} image of {width}x{height} cannot be decoded: its size does not fit the "
            "encoding (colours shared by two columns need an even width)"
        )


def debayered(mosaic: np.ndarray, pattern: str) -> np.ndarray:
    """RGB of a Bayer mosaic.

    Args:
        mosaic: ``(H, W)`` uint8 or uint16.
        pattern: Encoding, for example ``"bayer_rggb8"``.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    height, width = mosaic.shape
    encoding = f"{pattern.rstrip('0123456789')}{8 * mosaic.itemsize}"
    return decode_image(encoding, mosaic.data, height, width, mosaic.strides[0])


def darkness(image: np.ndarray, encoding: str) -> str:
    """Remark on an image ``(H, W, 3)`` uint8 that shows nearly nothing; "" = it is bright."""
    brightest = int(image.max())
    if brightest >= NEARLY_BLACK:
        return ""
    remedy = "look at the exposure and at the lens cap"
    if "16" in encoding:
        remedy += (
            ", and give white_level (--white-level) where the camera has fewer than 16 bits "
            "(12 bits: 4095)"
        )
    return f"nearly black: the brightest of 255 levels is {brightest} ({encoding}); {remedy}"


def decode_depth(
    encoding: str, data: Any, height: int, width: int, step: int, is_bigendian: bool = False
) -> np.ndarray:
    """Decode an uncompressed depth image (REP 118: 32FC1 metres, 16UC1 millimetres).

    Args:
        encoding: 32FC1, 16UC1 or mono16.
        data: Bytes of the message.
        height: Rows.
        width: Columns.
        step: Bytes of a row.
        is_bigendian: Byte order of the numbers.

    Returns:
        ``(height, width)`` float32 metres, 0 where unknown (0, NaN or infinite in the message).

    Raises:
        DataError: Another encoding, or the message's fields contradict each other.
    """
    if encoding == "32FC1":
        metres = _pixels(encoding, data, height, width, step, is_bigendian, np.float32, 1)
        return np.where(np.isfinite(metres) & (metres > 0), metres, np.float32(0))
    if encoding in ("16UC1", "mono16"):
        millimetres = _pixels(encoding, data, height, width, step, is_bigendian, np.uint16, 1)
        return millimetres.astype(np.float32) * np.float32(1e-3)
    raise DataError(f"depth encoding {encoding!r} is not known; expected 32FC1 or 16UC1")


def decode_labels(
    encoding: str, data: Any, height: int, width: int, step: int, is_bigendian: bool = False
) -> np.ndarray:
    """Decode a mask of instances.

    Args:
        encoding: ``8UC1`` or ``mono8``, or with 16 bits, whose labels are folded into 1-255.
        data: Bytes of the message.
        height: Rows.
        width: Columns.
        step: Bytes of a row.
        is_bigendian: Byte order of 16-bit labels.

    Returns:
        ``(height, width)`` uint8, 0 = static.

    Raises:
        DataError: Another encoding, or the message's fields contradict each other.
    """
    fields = (encoding, data, height, width, step, is_bigendian)
    if encoding in ("8UC1", "mono8"):
        return _pixels(*fields, np.uint8, 1)
    if encoding in ("16UC1", "mono16"):
        labels = _pixels(*fields, np.uint16, 1)
        return np.where(labels > 0, (labels.astype(np.int64) - 1) % 255 + 1, 0).astype(np.uint8)
    raise DataError(f"an instance mask has encoding {encoding!r}: publish it as mono8 or 16UC1")


def depth_pixels(depth: np.ndarray, encoding: str) -> np.ndarray:
    """Pixels of a depth image (REP 118).

    Args:
        depth: ``(H, W)`` float32 metres; NaN invalid, +Inf beyond range.
        encoding: ``32FC1``: metres as they are; ``16UC1``: millimetres, 0 where unknown or
            beyond 65.535 m.

    Returns:
        ``(H, W)`` of the encoding's type.

    Raises:
        ValueError: Another encoding.
    """
    if encoding not in ("32FC1", "16UC1"):
        raise ValueError(f"encoding: expected '32FC1' or '16UC1', got {encoding!r}")
    if encoding == "16UC1":
        with np.errstate(invalid="ignore"):
            millimetres = np.rint(depth * np.float32(1e3))
            is_known = (millimetres > 0) & (millimetres <= _MOST_MILLIMETRES)
        depth = np.where(is_known, millimetres, np.float32(0))
    return depth.astype(_MESSAGE_PIXELS[encoding][0], copy=False)


def message_pixels(pixels: np.ndarray, encoding: str) -> np.ndarray:
    """An array as ``sensor_msgs/Image`` holds it: contiguous, of the encoding's type.

    Args:
        pixels: ``(H, W)`` or ``(H, W, C)``.
        encoding: rgb8, bgr8, mono8, 16UC1 or 32FC1.

    Raises:
        ValueError: The shape does not fit the encoding, or it is another one.
    """
    kind, channels = _MESSAGE_PIXELS.get(encoding, (np.dtype("u1"), 0))
    if channels != (pixels.shape[2] if pixels.ndim == 3 else 1):
        raise ValueError(f"an array of shape {pixels.shape} is no {encoding} image")
    return np.ascontiguousarray(pixels.astype(kind, copy=False))


def _pixels(
    encoding: str, data: Any, height: int, width: int, step: int, is_bigendian: bool,
    sample: type, samples: int,
) -> np.ndarray:  # fmt: skip
    """View the buffer as ``(height, width)`` or ``(height, width, samples)``."""
    row = width * samples * np.dtype(sample).itemsize
    if height < 1 or width < 1:
        raise DataError(
            f"{encoding} image of {width}x{height} has no pixels: the publisher fills "
            "the message wrongly"
        )
    if step < row:
        raise DataError(
            f"{encoding} image of {width}x{height} has step {step}, expected at least {row}: the "
            "publisher fills the message wrongly"
        )
    buffer = np.frombuffer(data, np.uint8)
    # the last row's padding may be missing
    if buffer.size < step * (height - 1) + row:
        raise DataError(
            f"{encoding} image of {width}x{height} and step {step} has {buffer.size} bytes, "
            f"expected {step * height}: the publisher fills the message wrongly"
        )
    rows: np.ndarray = np.ndarray((height, row), np.uint8, buffer, strides=(step, 1))
    if np.dtype(sample).itemsize > 1:
        rows = (
            np.ascontiguousarray(rows)
            .view(np.dtype(sample).newbyteorder(">" if is_bigendian else "<"))
            .astype(sample, copy=False)
        )
    return rows if samples == 1 else rows.reshape(height, width, samples)
