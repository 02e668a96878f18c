# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Landmarks of snippets: sparse metric depth triangulated over the motion that was measured.

The one source of metres that a robot has without a depth sensor. It is no function of any network,
so that networks can be judged by it: a snippet that is held out from training has a sparse truth.
Points with too little parallax, and points on things that move by themselves, are left out; the
metres are the odometer's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import cv2
import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.visual_odometry.known_motion import (
    FEWEST,
    PointDepths,
    PointLimits,
    corners_of,
    rays_of,
    triangulate_views,
    view_of,
)
from sfm_depth_ros.visual_odometry.tracking import follow

# An image of a network is small: a corner is good to a tenth of its large pixels.
LIMITS = PointLimits(
    corners=600, spacing=4, quality=0.005, edge=9, min_parallax=3.0, max_error=0.5, nearest=0.2
)


def landmark_depth(snippet: Snippet) -> np.ndarray:
    """Depth of the landmarks of a snippet's target.

    Returns:
        ``(H, W)`` float32 metres along the optical axis, 0 = unknown: without a measured motion,
        without texture or without parallax everywhere.
    """
    if snippet.T_measured is None:
        return np.zeros(snippet.target.shape[:2], np.float32)
    images = [snippet.target, *snippet.sources]
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    return _depth(grey, snippet.intrinsics, snippet.T_measured, snippet.valid)


def landmark_depths(batches: Iterable[SnippetBatch]) -> list[Tensor]:
    """Depth of the landmarks of every batch, ``(B, 1, H, W)`` on its device, metres, 0 = unknown.

    The same as :func:`landmark_depth` for every snippet.
    """
    return [_of_batch(batch) for batch in batches]


def with_landmarks(batch: SnippetBatch, rows: int) -> SnippetBatch:
    """The batch with landmarks as measured depth of its first ``rows`` snippets."""
    depth = torch.zeros_like(batch.target[:, :1])
    depth[:rows] = _of_batch(batch.select(slice(rows)))
    return dataclasses.replace(batch, sparse_depth=depth)


def _of_batch(batch: SnippetBatch) -> Tensor:
    depth = torch.zeros_like(batch.target[:, :1])
    if batch.T_measured is None:
        return depth
    for row, motions in enumerate(batch.T_measured.cpu().double().numpy()):
        grey = [_grey(image) for image in (batch.target[row], *batch.sources[row])]
        valid = None if batch.valid is None else batch.valid[row, 0].cpu().numpy()
        K = batch.K[row].cpu().double().numpy()
        height, width = grey[0].shape
        camera = Intrinsics(K[0, 0], K[1, 1], K[0, 2], K[1, 2], width, height)
        depth[row, 0] = torch.from_numpy(_depth(grey, camera, motions, valid))
    return depth


def _depth(
    grey: list[np.ndarray], camera: Intrinsics, motions: np.ndarray, valid: np.ndarray | None
) -> np.ndarray:
    """Depth of one snippet, ``(H, W)``; ``grey`` has the target first."""
    unknown = np.zeros(grey[0].shape, np.float32)
    corners = corners_of(grey[0], valid, LIMITS)
    if len(corners) < FEWEST:
        return unknown
    rays = rays_of(corners, camera)
    views = []
    for source, T_source_target in zip(grey[1:], motions, strict=True):
        if not np.isfinite(T_source_target).all():
            return unknown
        pixels, alive = follow(grey[0], source, corners)
        T = T_source_target.astype(np.float64)
        view = view_of(alive, rays, rays_of(pixels, camera), T, camera.fx)
        if view is None:
            return unknown
        views.append(view)
    inverse_depth, is_good = triangulate_views(rays, views, camera.fx, LIMITS)
    points = PointDepths(0, corners[is_good], 1.0 / inverse_depth[is_good], camera)
    return points.image(camera)


def _grey(image: Tensor) -> np.ndarray:
    """``(H, W)`` uint8 of ``(3, H, W)`` in [0, 1]."""
    rgb = (image.movedim(0, -1) * 255).round().byte().cpu().contiguous().numpy()
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
