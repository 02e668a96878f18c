# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth's scale on snippets, from corners and the odometer's motion."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from exact_drive import CAMERA, Drive, make_drive

from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.snippets.batch import SnippetBatch, collate
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.scale_calibration import triangulated_ratios


@pytest.fixture(scope="module")
def drive() -> Drive:
    return make_drive(7, speed=6.0, yaw_rate=0.1)


@pytest.fixture(scope="module")
def batch(drive: Drive) -> SnippetBatch:
    frames, depths, T = drive.frames, drive.depths, drive.poses
    snippets = []
    for k in (1, 3, 5):
        motions = [invert(T[s]) @ T[k] for s in (k - 1, k + 1)]
        snippets.append(
            Snippet(
                target=frames[k].image,
                sources=np.stack([frames[k - 1].image, frames[k + 1].image]),
                intrinsics=CAMERA,
                displacements=np.array([np.linalg.norm(m[:3, 3]) for m in motions], np.float32),
                stamps_ns=np.array([frames[s].stamp_ns for s in (k - 1, k, k + 1)]),
                depth=depths[k].astype(np.float32),
                T_measured=np.stack(motions).astype(np.float32),
            )
        )
    return collate(snippets)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
def test_says_how_many_times_too_large(batch: SnippetBatch, factor: float) -> None:
    ratios = triangulated_ratios(batch, batch.depth * factor)
    assert len(ratios) == 3
    assert float(np.median(ratios)) == pytest.approx(factor, rel=0.03)


def test_says_nothing_without_an_odometer(batch: SnippetBatch) -> None:
    assert triangulated_ratios(dataclasses.replace(batch, T_measured=None), batch.depth) == []
    unknown = torch.full_like(batch.T_measured, torch.nan)
    assert triangulated_ratios(dataclasses.replace(batch, T_measured=unknown), batch.depth) == []


def test_places_without_an_image_do_not_count(batch: SnippetBatch) -> None:
    nowhere = torch.zeros_like(batch.depth, dtype=torch.bool)
    assert triangulated_ratios(dataclasses.replace(batch, valid=nowhere), batch.depth) == []
