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
from sfm_depth_ros.visual_odometry.snippet_tracks import SnippetTracks


def landmark_depths(batches: Iterable[SnippetBatch]) -> list[Tensor]:
    """Depth of the landmarks of every batch, ``(B, 1, H, W)`` on its device, metres, 0 = unknown.

    Those that the snippets have kept; where none has, the same as ``SnippetTracks.landmarks``.
    """
    return [_of_batch(batch) for batch in batches]


def with_landmarks(batch: SnippetBatch, rows: int) -> SnippetBatch:
    """The batch with landmarks as measured depth of its first ``rows`` snippets."""
    depth = torch.zeros_like(batch.target[:, :1])
    depth[:rows] = _of_batch(batch.select(slice(rows)))
    return dataclasses.replace(batch, sparse_depth=depth)


def _of_batch(batch: SnippetBatch) -> Tensor:
    if batch.landmarks is not None:
        return batch.landmarks
    depth = torch.zeros_like(batch.target[:, :1])
    if batch.T_measured is not None:
        for row in range(len(batch)):
            depth[row, 0] = torch.from_numpy(_tracks(batch, row).landmarks())
    return depth


def _tracks(batch: SnippetBatch, row: int) -> SnippetTracks:
    assert batch.T_measured is not None
    grey = [_grey(image) for image in (batch.target[row], *batch.sources[row])]
    valid = None if batch.valid is None else batch.valid[row, 0].cpu().numpy()
    K = batch.K[row].cpu().double().numpy()
    height, width = grey[0].shape
    camera = Intrinsics(K[0, 0], K[1, 1], K[0, 2], K[1, 2], width, height)
    return SnippetTracks.between(grey, camera, batch.T_measured[row].cpu().numpy(), valid)


def _grey(image: Tensor) -> np.ndarray:
    """``(H, W)`` uint8 of ``(3, H, W)`` in [0, 1]."""
    rgb = (image.movedim(0, -1) * 255).round().byte().cpu().contiguous().numpy()
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
