# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sensors: imperfections of the camera; a second camera, a lidar, a segmentation network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

LIDAR_RANGE_M = 80.0
LIDAR_NOISE_M = 0.02  # standard deviation of one range, as in data sheets of such sensors
LIDAR_TOP = 0.3  # share of the image's rows above the highest beam
BEAM_ASPECT = 4.0  # a spinning lidar measures this much more densely along a row than across


@dataclass(frozen=True)
class SensorsSpec:
    """The additional sensors; the defaults are none."""

    # Baseline in metres to a second camera on the right, parallel to the first; 0 = none
    baseline_m: float = 0.0
    lidar_share: float = 0.0  # Share of the pixels at which a lidar aims, 0 = none
    instance_masks: bool = False  # Whether moving things are marked in snippets

    @property
    def T_right_camera(self) -> np.ndarray:
        """Takes points in the camera's optical frame to the second camera's, ``(4, 4)``."""
        T = np.eye(4)
        T[0, 3] = -self.baseline_m
        return T


def lidar_returns(depth: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Measurements of a lidar at the camera: rows of points with a little noise.

    Args:
        depth: ``(H, W)`` true metres, inf in the sky.
        share: Share of all pixels at which a beam aims, in (0, 1].
        seed: Of the noise and of the first row.

    Returns:
        ``(H, W)`` float32 metres, 0 = unknown.
    """
    rng = np.random.default_rng([seed, 0x11DA])
    height, width = depth.shape
    top = 0 if share > 1 - LIDAR_TOP else int(LIDAR_TOP * height)
    spacing = (height - top) / (share * height)  # pixels a beam
    columns = max(1, round(math.sqrt(spacing / BEAM_ASPECT)))
    rows = max(1, round(spacing / columns))
    measured = np.zeros((height, width), np.float32)
    aimed = (slice(top + int(rng.integers(rows)), None, rows), slice(None, None, columns))
    ranges = depth[aimed]
    noisy = ranges + rng.normal(0.0, LIDAR_NOISE_M, ranges.shape)
    measured[aimed] = np.where((ranges < LIDAR_RANGE_M) & (noisy > 0), noisy, 0.0)
    return measured


@dataclass(frozen=True)
class EffectsSpec:
    """Strength of each effect; the defaults change nothing."""

    exposure_drift: float = 0.0  # Amplitude of the slow change of gain (0.1 = 10 %)
    gamma: float = 1.0  # Exponent on the final image values
    contrast: float = 1.0  # Slope about middle grey
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)  # Gains of red, green, blue
    vignette: float = 0.0  # Darkening of the corners (0.2 = 20 %)
    blur_px: float = 0.0  # Standard deviation of the optical blur in pixels
    noise: float = 0.0  # Standard deviation of sensor noise in image values
    jpeg_quality: int = 0  # 1-100, 0 = none
    grey: bool = False  # Whether the camera is monochrome


def develop(
    image: Tensor, effects: EffectsSpec, time_s: float, seed: int, sensor: int = 0
) -> np.ndarray:
    """Rendered radiance to what the camera delivers.

    Args:
        image: ``(H, W, 3)`` float32, 1 = white.
        effects: What to apply.
        time_s: Time of the frame, for the drift of exposure.
        seed: Of the frame's noise.
        sensor: Number of the camera: two cameras at one time share the light, not the noise.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    gain = torch.tensor(effects.white_balance, device=image.device)
    drift = math.sin(time_s * 0.9 + seed % 7) + 0.5 * math.sin(time_s * 2.3)
    image = image * (gain * (1 + effects.exposure_drift * drift))
    if effects.vignette > 0:
        image = image * _vignette(image, effects.vignette)
    image = image.clamp_(0, 1)
    if effects.gamma != 1.0:
        image = image.pow_(effects.gamma)
    if effects.contrast != 1.0:
        image = ((image - 0.45) * effects.contrast + 0.45).clamp_(0, 1)
    values = (image * 255 + 0.5).to(torch.uint8).cpu().numpy()
    return _sensor(values, effects, seed + (sensor << 48))


def _vignette(image: Tensor, strength: float) -> Tensor:
    y = torch.linspace(-1, 1, image.shape[0], device=image.device)[:, None, None]
    x = torch.linspace(-1, 1, image.shape[1], device=image.device)[None, :, None]
    return 1 - strength * 0.5 * (x * x + y * y)


def _sensor(values: np.ndarray, effects: EffectsSpec, seed: int) -> np.ndarray:
    if effects.grey:
        grey = cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)
        values = np.repeat(grey[..., None], 3, axis=2)
    if effects.blur_px > 0:
        values = cv2.GaussianBlur(values, (0, 0), effects.blur_px)
    if effects.noise > 0:
        values = _add_noise(values, effects, seed)
    if effects.jpeg_quality > 0:
        _, data = cv2.imencode(".jpg", values, [cv2.IMWRITE_JPEG_QUALITY, effects.jpeg_quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(values)


def _add_noise(values: np.ndarray, effects: EffectsSpec, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    channels = 1 if effects.grey else 3
    noise = rng.standard_normal((*values.shape[:2], channels), dtype=np.float32)
    noisy = values + noise * (effects.noise * 255)
    return np.clip(noisy, 0, 255).astype(np.uint8)
