# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth's own scale on snippets: predicted depth against triangles over the odometer's motion."""

from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.visual_odometry.alignment import measure_depth_scale

FEWEST = 4  # snippets that must have enough parallax before their median is believed


def triangulated_ratios(batch: SnippetBatch, depth: Tensor) -> list[float]:
    """Predicted over triangulated depth, one number for every snippet that can say.

    Args:
        batch: Snippets; those whose motion the odometer measured are looked at.
        depth: ``(B, 1, H, W)`` predicted depth of the targets, metres.
    """
    if batch.T_measured is None:
        return []
    ratios = []
    for row, T_source_target in enumerate(batch.T_measured.cpu().double().numpy()):
        T_target_later = T_source_target[1]
        if not np.isfinite(T_target_later).all():
            continue
        scale = measure_depth_scale(
            _grey(batch.target[row]),
            _grey(batch.sources[row, 1]),
            _known(batch, depth, row),
            _intrinsics(batch, row),
            invert(T_target_later),
        )
        if scale is not None:
            ratios.append(scale.ratio)
    return ratios


def _grey(image: Tensor) -> np.ndarray:
    rgb = (image.movedim(0, -1) * 255).round().byte().cpu().contiguous().numpy()
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def _known(batch: SnippetBatch, depth: Tensor, row: int) -> np.ndarray:
    """Depth of one target, NaN where its image has no source."""
    metres = depth[row, 0].float().cpu().numpy().copy()
    if batch.valid is not None:
        metres[~batch.valid[row, 0].cpu().numpy()] = np.nan
    return metres


def _intrinsics(batch: SnippetBatch, row: int) -> Intrinsics:
    K = batch.K[row].cpu().double().numpy()
    height, width = batch.target.shape[-2:]
    return Intrinsics(K[0, 0], K[1, 1], K[0, 2], K[1, 2], width, height)
