# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a page: pixels to JPEG or PNG, and to data addresses."""

from __future__ import annotations

import base64

import cv2
import numpy as np

QUALITY = 88  # of JPEG, in percent


def encode(picture: np.ndarray, ending: str = ".jpg", quality: int = QUALITY) -> bytes:
    """A picture as a file's bytes.

    Args:
        picture: ``(h, w, 3)`` uint8 RGB.
        ending: ``".jpg"`` or ``".png"``.
        quality: Of JPEG, in percent.
    """
    bgr = np.ascontiguousarray(picture[..., ::-1])
    options = [] if ending == ".png" else [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, data = cv2.imencode(ending, bgr, options)
    return data.tobytes()


def picture_source(picture: np.ndarray, ending: str = ".jpg") -> str:
    """``(h, w, 3)`` uint8 RGB as a data address."""
    kind = "png" if ending == ".png" else "jpeg"
    return f"data:image/{kind};base64," + base64.b64encode(encode(picture, ending)).decode()


def bar_source(colours: np.ndarray) -> str:
    """Colours ``(n, 3)`` uint8 RGB, from left to right, as the data address of a bar."""
    return picture_source(np.repeat(colours[None], 14, axis=0), ".png")


def shrunk(picture: np.ndarray, width: int) -> np.ndarray:
    """The picture at ``width`` pixels at most, areas averaged."""
    if picture.shape[1] <= width:
        return picture
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
