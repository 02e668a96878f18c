# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth for the eye: a coloured image; points and landmarks in the layout of sensor_msgs_py."""

from __future__ import annotations

import cv2
import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.visual_odometry.landmarks import Landmarks

WARMEST_M = 2.0  # depth that gets the warmest colour, as everything nearer does
# Metres below a colour bar of depth, from left to right: each twice the one before, so that equal
# steps along the bar are equal steps of their logarithm
BAR_DEPTHS = (2.5, 5.0, 10.0, 20.0, 40.0, 80.0)
POINT_TYPE = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<f4")])
LANDMARK_TYPE = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("depth_std", "<f4"), ("age", "<f4")]
)


def depth_to_points(
    depth: np.ndarray, image: np.ndarray, intrinsics: Intrinsics, stride: int = 1
) -> np.ndarray:
    """Lift every ``stride``-th pixel with a known depth.

    Args:
        depth: ``(H, W)`` float32 metres; pixels that are not finite or not positive are dropped.
        image: ``(H, W, 3)`` uint8 RGB of the same camera.
        intrinsics: Camera of both.
        stride: Step between pixels, in both directions.

    Returns:
        ``(N,)`` array of ``POINT_TYPE``: x right, y down, z forward in metres (optical frame),
        and the colour packed as 0x00RRGGBB in the bits of a float.
    """
    if image.shape[:2] != depth.shape:
        raise ValueError(f"depth is {depth.shape}, image is {image.shape}")
    z = depth[::stride, ::stride]
    with np.errstate(invalid="ignore"):
        rows, columns = np.nonzero(np.isfinite(z) & (z > 0))
    z = z[rows, columns]
    points = np.empty(len(z), dtype=POINT_TYPE)
    points["x"] = (columns * stride - intrinsics.cx) / intrinsics.fx * z
    points["y"] = (rows * stride - intrinsics.cy) / intrinsics.fy * z
    points["z"] = z
    points["rgb"] = _packed(image[rows * stride, columns * stride])
    return points


def landmark_points(landmarks: Landmarks) -> np.ndarray:
    """Landmarks as points in the camera's optical frame.

    Returns:
        ``(N,)`` array of ``LANDMARK_TYPE``: x right, y down, z forward and the depth's standard
        deviation in metres, and the age in images.
    """
    camera, depth = landmarks.intrinsics, landmarks.depth
    points = np.empty(len(landmarks), dtype=LANDMARK_TYPE)
    points["x"] = (landmarks.pixels[:, 0] - camera.cx) / camera.fx * depth
    points["y"] = (landmarks.pixels[:, 1] - camera.cy) / camera.fy * depth
    points["z"] = depth
    points["depth_std"] = depth**2 * landmarks.inverse_depth_std
    points["age"] = landmarks.age
    return points


def _packed(rgb: np.ndarray) -> np.ndarray:
    """``(N, 3)`` uint8 as ``(N,)`` float32 with the same bits as 0x00RRGGBB."""
    channels = rgb.astype(np.uint32)
    packed = (channels[:, 0] << 16) | (channels[:, 1] << 8) | channels[:, 2]
    return packed.astype(np.uint32).view(np.float32)


def depth_to_color(depth: np.ndarray) -> np.ndarray:
    """Colour a depth image by its inverse depth, on a scale that does not change with time.

    The square root of ``WARMEST_M / depth`` is coloured, so that both a kerb at 5 m and a house
    at 40 m stand out.

    Args:
        depth: ``(H, W)`` metres; NaN and values <= 0 are unknown, +Inf is beyond range.

    Returns:
        ``(H, W, 3)`` uint8 RGB; the same depth has the same colour in every picture.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        known = depth > 0
        share = np.sqrt(np.clip(WARMEST_M / depth, 0.0, 1.0))
    index = np.where(known, 20.0 + 235.0 * share, 0.0).astype(np.uint8)
    color = cv2.cvtColor(cv2.applyColorMap(index, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    color[~known] = 0
    return color


def depth_bar(width: int = 240) -> np.ndarray:
    """Colours ``(width, 3)`` of the depths from the first to the last of ``BAR_DEPTHS``."""
    return depth_to_color(np.geomspace(BAR_DEPTHS[0], BAR_DEPTHS[-1], width)[None])[0]


def confidence_to_color(confidence: np.ndarray) -> np.ndarray:
    """Colour a confidence image: dark blue is 0, yellow is 1.

    Args:
        confidence: ``(H, W)`` in [0, 1]; NaN counts as 0.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    index = (255.0 * np.clip(np.nan_to_num(confidence), 0.0, 1.0)).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(index, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
