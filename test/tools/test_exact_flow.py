# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exact flow: the other image shows the same where it is visible, what moves included."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfm_depth_ros.geometry.flow import warp_by_flow
from sfm_depth_ros.snippets.batch import images_to_tensor
from sfm_depth_ros.world.camera_spec import CameraSpec
from sfm_depth_ros.world.drive import DriveSpec, SyntheticDrive
from tools.exact_flow import exact_flow
from tools.flow import FlowErrors


@pytest.fixture(scope="module")
def seen():
    """Flow of a busy street, and its photometric error with and without."""
    drive = SyntheticDrive(
        DriveSpec(12, 3.0, CameraSpec(192, 64, 80.0, 1.1, 6.5), moving_objects=12)
    )
    best = None
    for index in range(0, 24, 4):
        first, second = drive.frame(index), drive.frame(index + 2)
        truth = exact_flow(drive, first, second)
        if best is None or truth.moving.sum() > best[0].moving.sum():
            images = [images_to_tensor(f.image)[None].contiguous() for f in (first, second)]
            flow = torch.from_numpy(truth.flow)[None].float()
            warped = warp_by_flow(images[1], flow)
            best = truth, *((x - images[0]).abs().mean(1)[0].numpy() for x in (warped, images[1]))
    assert best is not None
    return best


@pytest.mark.parametrize("kind", ["static", "moving"])
def test_colours_follow_the_flow(seen, kind: str) -> None:
    truth, warped, standing = seen
    where = truth.visible & (truth.moving if kind == "moving" else ~truth.moving)
    assert where.sum() > 50
    assert np.median(warped[where]) < 0.6 * np.median(standing[where])


def test_what_is_hidden_shows_something_else(seen) -> None:
    truth, warped, _ = seen
    assert truth.hidden.any() and not (truth.hidden & ~truth.inside).any()
    assert np.mean(warped[truth.hidden]) > 2 * np.mean(warped[truth.visible])


def test_exact_flow_has_no_error(seen) -> None:
    truth, _, _ = seen
    errors = FlowErrors()
    errors.add(truth.flow, -truth.flow, truth)
    assert all(np.concatenate(parts).max() == 0 for parts in errors.ends.values())
